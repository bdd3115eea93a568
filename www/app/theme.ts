/** Light, dark, or as the system says; remembered where the browser lets a page remember. */

/** The person's choice. */
export type Theme = 'system' | 'light' | 'dark';

/** The remembered choice. */
export function currentTheme(): Theme {
  const stored = read();
  return stored === 'light' || stored === 'dark' ? stored : 'system';
}

/** Applies and remembers a choice. */
export function setTheme(theme: Theme): void {
  try {
    if (theme === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
  apply(theme);
}

/** Applies the remembered choice. */
export function initTheme(): void {
  apply(currentTheme());
}

function apply(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
}

function read(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

const KEY = 'gyre.theme';
