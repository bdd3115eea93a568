/**
 * What the code of a site may do, as headers of every answer that its worker gives.
 *
 * By default a site has itself and nothing else: no request leaves its origin. The person can let one site load from
 * elsewhere; the rest stays as it is.
 */

/** The content security policy of a site that `app` shows. */
export function contentPolicy(app: string, outside: boolean): string {
  const more = outside ? ' http: https:' : '';
  const own = `'self' 'unsafe-inline' 'unsafe-eval' data: blob:${more}`;
  return [
    `default-src ${own}`,
    `connect-src 'self' data: blob:${outside ? ' http: https: ws: wss:' : ''}`,
    `worker-src 'self' blob:`,
    `frame-src 'self' data: blob:${more}`,
    // The app shows it, and it may show itself.
    `frame-ancestors 'self' ${app}`,
    `form-action 'self'`,
    `base-uri 'self'`,
    `object-src 'self'`,
    // Where browsers know it: no connections to peers of the site's own choice.
    ...(outside ? [] : [`webrtc 'block'`]),
  ].join('; ');
}

/** The headers of every answer. */
export function siteHeaders(app: string, outside: boolean): [string, string][] {
  return [
    ['Content-Security-Policy', contentPolicy(app, outside)],
    ...(outside ? [] : [SHUT_IN]),
    ['Permissions-Policy', PERMISSIONS],
    ['Referrer-Policy', 'same-origin'],
    ['X-Content-Type-Options', 'nosniff'],
    ['Cross-Origin-Resource-Policy', 'same-origin'],
    ['Origin-Agent-Cluster', '?1'],
    // A look-up of a name can carry a message, too.
    ['X-DNS-Prefetch-Control', 'off'],
  ];
}

/**
 * What no content security policy reaches: WebRTC, look-ups of names, connections ahead of requests. Every document of the
 * origin has to carry it, also one without scripts: a frame of it would lend the site's code its own constructors. The site's
 * redirects lead within the site: all that is asked for is asked of its worker.
 */
export const SHUT_IN: [string, string] = ['Connection-Allowlist', '(response-origin); redirects=allow; webrtc=block'];

/** Whatever a browser would ask the person for, or tell about the device. */
const PERMISSIONS = [
  'accelerometer',
  'ambient-light-sensor',
  'bluetooth',
  'browsing-topics',
  'camera',
  'captured-surface-control',
  'clipboard-read',
  'compute-pressure',
  'digital-credentials-get',
  'display-capture',
  'geolocation',
  'gyroscope',
  'hid',
  'identity-credentials-get',
  'idle-detection',
  'keyboard-lock',
  'local-fonts',
  'local-network-access',
  'magnetometer',
  'microphone',
  'midi',
  'otp-credentials',
  'payment',
  'publickey-credentials-create',
  'publickey-credentials-get',
  'screen-wake-lock',
  'serial',
  'storage-access',
  'usb',
  'window-management',
  'xr-spatial-tracking',
]
  .map((feature) => `${feature}=()`)
  .join(', ');
