/**
 * One site, shown: the app is the browser around it.
 *
 * Loader and search start together. The address above the site follows what its frame shows, but which site it is comes from
 * the app alone. Where sites cannot have an origin of their own, a page is shown as paper.
 */

import { formatLink, GyreError, type Site, type SiteHead } from 'gyre';
import { html, nothing, type PropertyValues } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import '../components/error-note.js';
import { icon, spiral } from '../components/icons.js';
import '../components/site-bar.js';
import type { BarWish } from '../components/site-bar.js';
import { SiteInfoElement } from '../components/site-info.js';
import { SessionElement } from '../element.js';
import { percent } from '../lib/format.js';
import { petnames, readPetname, siteLabel } from '../lib/petnames.js';
import { noteVisit } from '../lib/visits.js';
import { keepStorage } from '../persist.js';
import { session } from '../session.js';
import { outsideAllowed } from '../site/allowed.js';
import { inTurn, SiteHost } from '../site/host.js';
import { makePaper, type Paper } from '../site/paper.js';
import { askSiteHost, placeLink, siteOrigin, type SitePlace } from '../site/place.js';
import { SiteView } from '../site/view.js';
import '../styles/site.css';

@customElement('gyre-site-page')
export class SitePage extends SessionElement {
  /** The place that the app's address names. */
  @property({ attribute: false }) place!: SitePlace;
  /** The place that is shown. */
  @state() private shown: SitePlace | null = null;
  @state() private site: Site | null = null;
  @state() private problem: GyreError | null = null;
  @state() private newer: SiteHead | null = null;
  /** The site's key has signed two versions under one number. */
  @state() private forked = false;
  @state() private stuck = false;
  @state() private halted = false;
  /** It is loaded anew once the browser has ended what was stopped. */
  @state() private ending = false;
  /** The site's frame has left the site, and shows nothing. */
  @state() private astray = false;
  /** A link out of the site that the person has followed. */
  @state() private leaving: string | null = null;
  @state() private paper: Paper | null = null;
  /** Why the site has no origin of its own here; `null` if it has. */
  @state() private withoutOrigin: string | null = null;
  @state() private stored: number | null = null;
  @state() private pinned: boolean | null = null;
  @state() private keeping: number | null = null;
  @state() private pageTitle = '';
  #view: SiteView | null = null;
  #haltedAt = 0;
  /** Times since then that new frames gave no sign of life. */
  #revived = 0;
  #host: SiteHost | null = null;
  #abort: AbortController | null = null;
  #turning: AbortController | null = null;
  /** The app goes on at another address. */
  #moved = false;
  #mended = 0;
  #settling: ReturnType<typeof setTimeout> | undefined;

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.release();
    document.title = TITLE;
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (changed.has('place')) {
      if (this.place.address !== this.shown?.address) void this.open();
      else if (this.place.path !== this.shown.path) this.follow();
    }
    document.title = this.shown ? `${readPetname(this.pageTitle) ?? siteLabel(this.shown.address, null)} – Gyre` : TITLE;
  }

  protected override render(): unknown {
    const shown = this.shown ?? this.place;
    const found = this.site !== null && !this.problem;
    return html`<gyre-site-bar
        .place=${shown}
        .pinned=${this.pinned}
        ?loading=${!found && !this.problem}
        ?fork=${this.forked}
        @gyre-bar=${(event: CustomEvent<BarWish>) => this.wish(event.detail)}
      ></gyre-site-bar>
      <div class="site-notes" aria-live="polite">${this.notes()}</div>
      <div class="site-stage">
        <div class="site-frames" ?hidden=${!found}></div>
        ${found && this.paper ? this.sheet(this.paper) : nothing} ${found ? nothing : this.waiting()}
      </div>
      <gyre-site-info
        .site=${this.site}
        ?fork=${this.forked}
        .link=${formatLink(placeLink(shown), appBase())}
        .stored=${this.stored}
        ?paper=${this.withoutOrigin !== null}
        @gyre-measure=${() => this.#view?.measure()}
        @gyre-clear=${() => this.#view?.clear()}
        @gyre-outside=${() => this.rebuild()}
      ></gyre-site-info>`;
  }

  private waiting(): unknown {
    if (this.problem) {
      return html`<div class="site-waiting"><gyre-error subject="site" .error=${this.problem} .retry=${() => void this.open()}></gyre-error></div>`;
    }
    return html`<div class="site-waiting" role="status">
      <div class="file-spiral turning">${spiral(0.4)}</div>
      <p class="soft" data-testid="site-state">${session.phase === 'loading' || session.phase === 'connecting' ? 'Joining, then looking for somebody who has this site…' : 'Looking for somebody who has this site…'}</p>
    </div>`;
  }

  private sheet({ html: page }: Paper): unknown {
    // Neither scripts nor an origin: what a click may do is to follow a link.
    return html`<iframe
      class="site-frame"
      title="The site"
      data-testid="site-paper"
      sandbox="allow-top-navigation-by-user-activation allow-popups allow-popups-to-escape-sandbox"
      referrerpolicy="no-referrer"
      .srcdoc=${page}
    ></iframe>`;
  }

  private notes(): unknown {
    return html`${
      this.newer
        ? note('site-update', 'retry', html`A new version of this site is here.`, html`<button class="button primary" data-testid="site-update-load" @click=${() => void this.renew()}>Load it</button>`)
        : nothing
    }
    ${this.forked ? note('site-forked', 'alert', html`The key of this site has signed two different versions under one number: two devices published at once, or somebody else has the key.`, nothing) : nothing}
    ${
      this.leaving !== null
        ? note(
            'site-leave',
            'globe',
            html`This link leads out of Gyre, to <strong class="wrap">${this.leaving}</strong>. Whoever runs that place will see your IP address.`,
            html`<a class="button primary" href=${this.leaving} target="_blank" rel="noopener noreferrer" @click=${() => (this.leaving = null)}>Open in a new tab</a>
              <button class="button quiet" @click=${() => (this.leaving = null)}>Stay here</button>`,
          )
        : nothing
    }
    ${
      this.stuck
        ? note('site-stuck', 'alert', html`The code of this site does not let go.`, html`<button class="button" data-testid="site-halt" @click=${this.halt}>Stop it</button>`)
        : nothing
    }
    ${this.astray ? note('site-astray', 'alert', html`This page tried to leave the site, and was not let go.`, html`<button class="button primary" @click=${() => this.wish('reload')}>Back to the site</button>`) : nothing}
    ${this.halted ? note('site-halted', 'alert', html`This site was stopped.`, html`<button class="button" @click=${() => this.wish('reload')}>Load it again</button>`) : nothing}
    ${this.ending ? note('site-ending', 'clock', html`The site is loaded again in a moment.`, nothing) : nothing}
    ${this.keeping !== null ? note('site-keeping', 'save', html`Fetching all of this site to keep it: ${this.keeping} %.`, nothing) : nothing}
    ${
      this.site && session.stats?.uploadAllowed === null
        ? note(
            'site-consent',
            'share',
            html`May this browser pass on what you open? Others can then get this site from here too, while this tab is open. Peers that are linked to you see your IP address.`,
            html`<button class="button primary" data-testid="consent-allow" @click=${() => session.act((gyre) => gyre.setUpload(true))}>Allow</button>
              <button class="button quiet" data-testid="consent-deny" @click=${() => session.act((gyre) => gyre.setUpload(false))}>Not now</button>`,
          )
        : nothing
    }
    ${
      this.withoutOrigin !== null && this.paper
        ? note('site-paper-note', 'alert', html`Shown as paper, without scripts, forms, sound and films. ${this.withoutOrigin} ${this.betterPlace()}`, nothing)
        : nothing
    }`;
  }

  /** On one machine there is a name under which sites can stand. */
  private betterPlace(): unknown {
    if (!/^(127\.[\d.]+|\[::1\])$/.test(location.hostname)) return nothing;
    const port = location.port === '' ? '' : `:${location.port}`;
    return html`<a href=${`http://localhost${port}/${placeLink(this.shown ?? this.place)}`}>Open it at localhost</a>, where it works.`;
  }

  private async open(): Promise<void> {
    this.release();
    this.#moved = false;
    const abort = (this.#abort = new AbortController());
    const { signal } = abort;
    const { place } = this;
    this.shown = place;
    const opening = session.ready(signal).then((gyre) => gyre.site(place.address, { signal }));
    const host = (this.#host = new SiteHost(opening, {
      outside: () => outsideAllowed.get(place.address) === true,
      onLeave: (url) => (this.leaving = url),
      caughtUp: async () => this.#view?.caughtUp(),
      turns: (work) => inTurn(place.address, work),
    }));
    opening.catch(() => undefined);
    siteHost ??= askSiteHost(document.baseURI);
    const origin = siteOrigin(place.address, location, await siteHost);
    if (signal.aborted) return;
    if (origin === null) this.withoutOrigin = 'On this host, sites cannot have addresses of their own.';
    else this.build(place, origin, host);
    try {
      const site = await opening;
      if (signal.aborted) return site.close();
      this.adopt(site);
      if (this.withoutOrigin !== null) await this.print(site, this.shown);
      const { title, pinned } = await site.info({ signal });
      this.pinned = pinned;
      noteVisit(place.address, site.cid, title);
      this.pageTitle ||= title;
    } catch (thrown) {
      if (!signal.aborted) this.problem = GyreError.from(thrown);
    }
  }

  private adopt(site: Site): void {
    this.site?.close();
    this.site = site;
    this.newer = null;
    this.forked = site.head?.fork === true;
    site.addEventListener('fork', () => (this.forked = true));
    site.addEventListener('update', ({ detail }) => (this.newer = detail));
    void this.moveOn(site);
  }

  /** A site whose owner has changed its key goes on under another name, if that can be opened. */
  private async moveOn(site: Site): Promise<void> {
    try {
      const name = (await site.owner())?.name;
      if (!name) return;
      (await (await session.ready()).site(name, { follow: false })).close();
      if (site !== this.site) return;
      this.#moved = true;
      petnames.set(name, petnames.get(name) ?? petnames.get(site.address) ?? null);
      location.replace(placeLink({ address: name, path: this.shown?.path ?? '/' }));
      session.notify('This site has a new address: its owner has changed its key.');
    } catch {
      // Nobody vouches for another place now: what is here stays shown.
    }
  }

  private build(place: SitePlace, origin: string, host: SiteHost): void {
    const into = this.querySelector<HTMLElement>('.site-frames');
    if (!into) return;
    this.#view?.close();
    this.#view = new SiteView(into, {
      place,
      origin,
      host,
      outside: outsideAllowed.get(place.address) === true,
      listener: {
        at: (now, title) => this.at(now, title),
        astray: () => (this.astray = true),
        go: (to) => (location.hash = placeLink(to)),
        leave: (url) => (this.leaving = url),
        ready: () => undefined,
        lost: () => this.mend(),
        failed: (reason) => this.failed(reason),
        stuck: (stuck) => (this.stuck = stuck),
        stored: (bytes) => (this.stored = bytes),
      },
    });
  }

  /** The worker is gone; once no frame of the site is left, a new one can be had. */
  private mend(): void {
    const { shown } = this;
    const place = this.#view?.place ?? shown;
    if ((this.#mended += 1) > MAX_MENDED) return void this.fallBack('The browser does not let its worker answer.');
    this.#view?.close();
    this.#settling = setTimeout(() => place && this.rebuild(place), MEND_MS * this.#mended);
  }

  /** With new frames: with what the person has just allowed, or a new worker. */
  private rebuild(shown: SitePlace | null = this.shown): void {
    const host = this.#host;
    if (!shown || !host || !this.#view) return;
    void siteHost?.then((known) => {
      const origin = siteOrigin(shown.address, location, known);
      if (origin !== null) this.build(shown, origin, host);
    });
  }

  /** The site's frame shows this now; the app's own address goes along, without an entry in the history of its own. */
  private at(now: SitePlace, title: string): void {
    this.shown = now;
    this.pageTitle = readPetname(title) ?? '';
    this.leaving = null;
    this.#haltedAt = 0;
    this.#revived = 0;
    this.astray = false;
    // What still comes of the frames that are left does not lead back.
    if (!this.#moved && location.hash !== placeLink(now)) history.replaceState({ gyreSite: now.address }, '', placeLink(now));
  }

  /** The app's address was changed: by hand, by a link, or by going back. */
  private follow(): void {
    clearTimeout(this.#settling);
    const { place } = this;
    if (this.withoutOrigin !== null) {
      if (this.site) void this.print(this.site, place);
      return;
    }
    const show = (): void => {
      if (this.#view && this.#view.place.path !== place.path && placeLink(place) === location.hash) this.#view.go(place, true);
    };
    // Going back, the browser takes the frame along by itself.
    if ((history.state as { gyreSite?: unknown } | null)?.gyreSite === place.address) this.#settling = setTimeout(show, SETTLE_MS);
    else show();
  }

  /** No frame of the site came to life. After a stop its process may still be there, and keeps what is new from answering. */
  private failed(reason: string): void {
    if (this.#haltedAt === 0 || (this.#revived += 1) > MAX_REVIVED) return void this.fallBack(reason);
    this.#view?.close();
    this.#haltedAt = performance.now();
    this.again();
  }

  private async fallBack(reason: string): Promise<void> {
    this.#view?.close();
    this.#view = null;
    this.withoutOrigin = reason;
    if (this.site && this.shown) await this.print(this.site, this.shown);
  }

  private async print(site: Site, place: SitePlace): Promise<void> {
    this.#turning?.abort();
    const { signal } = (this.#turning = new AbortController());
    try {
      const paper = await makePaper(site, place, appBase(), signal);
      if (signal.aborted) return;
      this.paper = paper;
      this.at(paper.place, paper.title);
    } catch (thrown) {
      if (!signal.aborted) this.problem = GyreError.from(thrown);
    }
  }

  /** Shows the newest version in the place of the one that is shown. */
  private async renew(): Promise<void> {
    const { signal } = this.#abort ?? {};
    const { shown } = this;
    if (!shown || !signal) return;
    try {
      const site = await (await session.ready(signal)).site(shown.address, { signal });
      this.#host?.replace(Promise.resolve(site));
      this.adopt(site);
      if (this.withoutOrigin !== null) await this.print(site, shown);
      else this.#view?.reload();
      const { title, pinned } = await site.info({ signal });
      this.pinned = pinned;
      noteVisit(shown.address, site.cid, title);
    } catch (thrown) {
      if (!signal.aborted) session.notify(GyreError.from(thrown).message);
    }
  }

  private wish(wish: BarWish): void {
    switch (wish) {
      case 'back':
        return history.back();
      case 'forward':
        return history.forward();
      case 'reload': {
        // A process that has ended, or does not let go, has the hidden frames in it.
        if (this.stuck) this.halt();
        const anew = this.halted;
        this.halted = false;
        this.astray = false;
        if (this.problem || !this.site) return void this.open();
        if (this.withoutOrigin !== null) return void (this.shown && this.print(this.site, this.shown));
        return anew ? this.again() : this.#view?.reload();
      }
      case 'info': {
        const panel = this.querySelector('gyre-site-info');
        if (panel instanceof SiteInfoElement) panel.show();
        return;
      }
      case 'share':
        return void this.copyLink();
      case 'pin':
        return void this.pin();
    }
  }

  private async copyLink(): Promise<void> {
    const link = formatLink(placeLink(this.shown ?? this.place), appBase());
    const copied = await navigator.clipboard?.writeText(link).then(
      () => true,
      () => false,
    );
    session.notify(copied ? 'The link to this place is on the clipboard.' : 'The browser did not allow copying. The link is in the panel about this site.');
  }

  private async pin(): Promise<void> {
    const { site } = this;
    if (!site || this.keeping !== null) return;
    const signal = this.#abort?.signal;
    try {
      if (this.pinned) await site.unpin();
      else {
        this.keeping = 0;
        await site.keep({
          ...(signal ? { signal } : {}),
          onProgress: ({ bytes, allBytes }) => (this.keeping = percent(bytes, allBytes)),
        });
        keepStorage();
      }
      this.pinned = !this.pinned;
    } catch (thrown) {
      const error = GyreError.from(thrown);
      if (error.code !== 'ABORTED') session.notify(error.message);
    } finally {
      this.keeping = null;
    }
  }

  /** Takes all frames of the site away: while one is left, its process goes on with what the code was doing. */
  private halt(): void {
    this.#view?.close();
    this.#haltedAt = performance.now();
    this.stuck = false;
    this.halted = true;
  }

  /** New frames after all were taken away. Made too soon they come into the old process, where the code still runs. */
  private again(): void {
    clearTimeout(this.#settling);
    this.ending = true;
    const wait = Math.max(0, this.#haltedAt + ENDING_MS - performance.now());
    this.#settling = setTimeout(() => {
      this.ending = false;
      this.rebuild();
    }, wait);
  }

  private release(): void {
    clearTimeout(this.#settling);
    this.#abort?.abort();
    this.#turning?.abort();
    this.#view?.close();
    this.#host?.stop();
    this.site?.close();
    this.#view = null;
    this.#host = null;
    this.site = null;
    this.problem = null;
    this.newer = null;
    this.forked = false;
    this.paper = null;
    this.withoutOrigin = null;
    this.stored = null;
    this.pinned = null;
    this.leaving = null;
    this.stuck = false;
    this.halted = false;
    this.ending = false;
    this.astray = false;
    this.#mended = 0;
    this.#haltedAt = 0;
    this.#revived = 0;
    this.pageTitle = '';
  }
}

function note(id: string, drawing: Parameters<typeof icon>[0], words: unknown, actions: unknown): unknown {
  return html`<div class="site-note" data-testid=${id}>${icon(drawing)}<p>${words}</p><div class="row">${actions}</div></div>`;
}

/** The app's own address, without a place in it. */
function appBase(): string {
  return location.href.split('#')[0] ?? '';
}

let siteHost: Promise<string | null> | undefined;
const TITLE = document.title;
/** Milliseconds in which the browser takes the frame along when the person goes back. */
const SETTLE_MS = 700;
/** Milliseconds, longer each time, in which the browser forgets the frames of a view that was closed. */
const MEND_MS = 300;
/** Milliseconds after which the process of a site that was stopped is gone: Chromium keeps one without frames for two seconds, in case it is needed again. */
const ENDING_MS = 4_000;
/** Times that a lost worker is brought back. */
const MAX_MENDED = 5;
/** Times that a site which was stopped is given new frames without a sign of life. */
const MAX_REVIVED = 2;
