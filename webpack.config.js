// Builds www/app into www/dist. The SDK is taken from pkg/, as any other site would take it from
// npm; its wasm and the glue around it land in a chunk of their own that the page asks for late.

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import CopyPlugin from 'copy-webpack-plugin';
import HtmlPlugin from 'html-webpack-plugin';
import MiniCssExtractPlugin from 'mini-css-extract-plugin';

const root = path.dirname(fileURLToPath(import.meta.url));
const app = path.join(root, 'www/app');

export default (_env, argv) => {
  const production = argv.mode !== 'development';
  return {
    context: root,
    mode: production ? 'production' : 'development',
    devtool: production ? false : 'source-map',
    entry: { app: path.join(app, 'main.ts') },
    output: {
      path: path.join(root, 'www/dist'),
      publicPath: 'auto',
      filename: 'assets/[name].[contenthash:12].js',
      chunkFilename: 'assets/[name].[contenthash:12].js',
      assetModuleFilename: 'assets/[name].[contenthash:12][ext]',
      clean: true,
    },
    resolve: {
      extensions: ['.ts', '.js'],
      // Sources import './x.js', as the compiled package must; here that names './x.ts'.
      extensionAlias: { '.js': ['.ts', '.js'] },
      alias: { gyre$: path.join(root, 'pkg/index.js') },
    },
    module: {
      rules: [
        {
          test: /\.ts$/,
          include: path.join(root, 'www'),
          loader: 'ts-loader',
          options: { compilerOptions: { noEmit: false } },
        },
        { test: /\.css$/, use: [MiniCssExtractPlugin.loader, 'css-loader'] },
      ],
    },
    plugins: [
      new HtmlPlugin({ template: path.join(app, 'index.html'), scriptLoading: 'defer' }),
      new MiniCssExtractPlugin({ filename: 'assets/[name].[contenthash:12].css' }),
      // The worker is the package's own file, at the root: that is the widest scope it may have. The relay serves what is in
      // site/ on the hosts of sites.
      new CopyPlugin({ patterns: [{ from: path.join(app, 'public') }, { from: path.join(root, 'node_modules/uplot/LICENSE'), to: 'assets/uplot.LICENSE.txt' }, { from: path.join(root, 'pkg/gyre-sw.js'), info: { minimized: true } }, { from: path.join(root, 'pkg/site'), to: 'site', info: { minimized: true } }] }),
    ],
    // The wasm has a budget of its own, checked by the size test; this one is for the shell.
    performance: {
      hints: production ? 'error' : false,
      maxEntrypointSize: 200 * 1024,
      maxAssetSize: 200 * 1024,
      assetFilter: (name) => /app\.[0-9a-f]+\.(js|css)$/.test(name),
    },
    stats: 'errors-warnings',
  };
};
