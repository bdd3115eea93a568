import './styles/tokens.css';
import './styles/base.css';
import './styles/controls.css';
import './styles/components.css';
import './styles/pages.css';
import './components/app-shell.js';
import { fileServer } from './files.js';
import { session } from './session.js';
import { initTheme } from './theme.js';

initTheme();
void fileServer();
void session.start();
void import(/* webpackChunkName: "later" */ './later.js');
// Whoever comes back to this page should not wait for the next attempt.
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') void session.start();
});
