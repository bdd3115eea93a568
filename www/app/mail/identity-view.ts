/** The keys of one's identity: on paper, changed, taken back from a thief, given up. Whatever it is, it says first what follows, and asks. */

import type { IdentityStep, NamedSite, SiteOwner } from 'gyre';
import { html, nothing } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { confirmDialog } from '../components/confirm-dialog.js';
import { PlainElement } from '../element.js';
import { placesToAsk, WORDS, wordsIn, wordsProblem } from '../lib/words.js';
import { mySites, type MySite } from '../lib/my-sites.js';
import { publishAddress, siteAddress } from '../lib/router.js';
import { session } from '../session.js';
import { watch } from '../watching.js';
import { icon } from './icons.js';
import { desk } from './room.js';

/** What is being done. */
type Doing = 'paper' | 'change' | 'back' | 'rejoin' | 'end';

@customElement('gyre-mail-identity')
export class MailIdentityElement extends PlainElement {
  @state() private doing: Doing | null = null;
  /** The words for a new paper, while they are shown. */
  @state() private fresh: readonly string[] | null = null;
  @state() private asked: readonly number[] | null = null;
  @state() private wrong = '';
  @state() private busy = false;
  @state() private steps: readonly IdentityStep[] = [];
  @state() private keep = 0;
  /** What own sites say, and the identity says of them, by the names of the sites. */
  @state() private owners: ReadonlyMap<string, SiteOwner | null> = new Map();
  /** The words of the paper that counts, once they were typed. */
  #shown: string | undefined;

  constructor() {
    super();
    watch(this, desk, mySites);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.leave();
  }

  protected override render(): unknown {
    const mail = desk.state;
    if (!mail) return nothing;
    return html`<section class="card" aria-labelledby="identity-head" data-testid="identity" data-standing=${mail.standing}><h2 id="identity-head" tabindex="-1">Keys of your identity</h2>
      ${this.doing === null ? this.overview() : this.form(this.doing)}</section>`;
  }

  private overview(): unknown {
    const { standing, onPaper, concurrent } = desk.state ?? {};
    if (standing === 'ended') return html`<p data-testid="identity-ended">You have given this identity up. Nobody sends to it any more, and nothing is sent from it. What is here can still be read and exported.</p>`;
    if (standing === 'out') {
      return html`<p class="note note-warm" role="alert">${icon('alert')}<span>This machine no longer belongs to your identity: it was removed, or the keys were changed on another machine. It gets no mail.</span></p>
        <p>${onPaper ? 'If you did that, bring it back with the 24 recovery words.' : ''} If somebody else did it, you can undo it within 72 hours.</p>
        <div class="row">${onPaper ? html`<button class="button primary" data-testid="identity-rejoin" @click=${() => this.begin('rejoin')}>Bring this machine back</button>` : nothing}
          <button class="button" data-testid="identity-back" @click=${() => this.begin('back')}>It was not me: undo it</button></div>`;
    }
    return html`
      ${concurrent === null || concurrent === undefined ? nothing : html`<p class=${concurrent === 'open' ? 'note note-warm' : 'hint'} data-testid="identity-concurrent" data-state=${concurrent}>${concurrent === 'open' ? icon('alert') : nothing}<span>${CONCURRENT[concurrent]}</span></p>`}
      ${
        onPaper
          ? html`<p data-testid="identity-paper-made">Whoever takes this machine cannot take your identity: for that it needs your 24 <strong>recovery words</strong>, which are on your paper alone.</p>
            <dl class="facts">
              <div><dt>A machine was lost or stolen</dt><dd>Change the keys with your recovery words, from a machine that you still have. All others are left out, and get no more mail until they are told the words. Your contacts notice nothing.
                <div class="row"><button class="button" data-testid="identity-change" @click=${() => this.begin('change')}>${icon('lock')} Change the keys</button></div></dd></div>
              <div><dt>Somebody acts in your name</dt><dd>Undo what they did to your identity, within 72 hours.
                <div class="row"><button class="button" data-testid="identity-back" @click=${() => this.begin('back')}>Undo it</button></div></dd></div>
            </dl>`
          : html`<p>All keys of your identity are on this machine: whoever takes it with your passphrase, or while it is unlocked, has your identity for good. With 24 <strong>recovery words</strong> on a paper, and on no machine, you can shut a thief out and go on under the same address.</p>
            <div class="row"><button class="button primary" data-testid="identity-paper" @click=${() => this.begin('paper')}>Make recovery words</button></div>`
      }
      ${this.sites()}
      <details><summary>Give up this identity</summary>
        <p>For good: it cannot be undone. Your contacts are told that it has ended, and send nothing more. What is here stays.</p>
        <div class="row"><button class="button danger" data-testid="identity-end" @click=${() => this.begin('end')}>Give up this identity…</button></div></details>`;
  }

  /** Own sites can hang from the identity, so that their readers can be led on when a key is changed. */
  private sites(): unknown {
    const all = mySites.all();
    const named = desk.state?.sites ?? [];
    const shown = new Set(all.map((mine) => this.named(mine)));
    const others = named.filter((one) => !shown.has(one));
    if (all.length + others.length === 0) return nothing;
    return html`<details data-testid="identity-sites" @toggle=${(event: Event) => (event.target as HTMLDetailsElement).open && void this.lookAtSites()}><summary>Your sites</summary>
      <p>A site that says that it is yours, and that your identity names, is shown as yours to its readers, and they follow you if you move it to another address. The site says so if you choose that when you publish it. Everybody can see which sites an identity names.</p>
      <ul class="devices">${all.map((site) => this.site(site, all))}${others.map((one) => this.other(one))}</ul></details>`;
  }

  /** What the identity names without this browser having published it. */
  private other(one: NamedSite): unknown {
    return html`<li class="owned" data-testid="identity-site" data-state="elsewhere"><div><strong>A site of another machine</strong> <code class="wrap soft">dmail:${desk.state?.id} ${one.site}</code>
      <p class="hint">Your identity names it, and this browser has not published it: <a class="wrap" href=${siteAddress(one.name)}>${one.name}</a></p></div>
      ${this.withdrawal(one, `the site ${one.name.slice(0, 12)}…`)}</li>`;
  }

  private withdrawal(one: NamedSite, what: string): unknown {
    return html`<button class="button" data-testid="identity-withdraw" aria-label=${`Withdraw ${what}`} ?disabled=${this.busy} @click=${() => void this.withdraw(one, what)}>Withdraw…</button>`;
  }

  /** What the identity says of a site that this browser knows: that it is there, or where its readers go on to. */
  private named(mine: MySite): NamedSite | undefined {
    const owner = this.ownerOf(mine.name);
    const number = owner?.site ?? mine.site;
    return desk.state?.sites.find(({ site, name }) => site === number && (name === mine.name || name === owner?.name || mySites.named(name) !== undefined));
  }

  private site(mine: MySite, all: readonly MySite[]): unknown {
    const { site, name } = mine;
    const owner = this.ownerOf(name);
    const number = owner?.site ?? site;
    const at = owner?.name ?? name;
    const named = owner?.state === 'here' || owner?.state === 'moved';
    const said = this.named(mine);
    return html`<li class="owned" data-testid="identity-site" data-state=${owner?.state ?? 'none'}><div><strong>${label(mine)}</strong> <code class="wrap soft">dmail:${desk.state?.id} ${number}</code><p class="hint">${this.standing(mine, owner)}</p></div>
      ${named ? nothing : html`<button class="button" data-testid="identity-sign" ?disabled=${this.busy} @click=${() => void this.name(mine, number, mine)}>Sign</button>`}
      ${
        named && all.length > 1
          ? html`<div class="row"><label for=${`readers-${site}`}>Its readers go to</label>
            <select id=${`readers-${site}`} class="field" data-testid="identity-move" ?disabled=${this.busy} @change=${(event: Event) => void this.move(event.target as HTMLSelectElement, mine, number)}>
              ${all.map((one) => html`<option value=${one.name} ?selected=${one.name === at}>${one === mine ? 'this address' : label(one)}</option>`)}
              ${mySites.named(at) ? nothing : html`<option value=${at} selected>${at.slice(0, 12)}</option>`}
            </select></div>`
          : nothing
      }
      ${said ? this.withdrawal(said, `“${label(mine)}”`) : nothing}</li>`;
  }

  private standing(mine: MySite, owner: SiteOwner | null): unknown {
    if (owner === null) return html`It does not say whose it is${this.named(mine) ? ', though your identity names it' : ''}. <a href=${publishAddress(mine.site)}>Publish a version that does</a>, or put this line into its file <code>.well-known/gyre-identity</code>.`;
    if (owner.state !== 'moved') return STANDS[owner.state];
    const to = mySites.named(owner.name ?? '');
    return html`Your identity leads its readers on to ${to ? `“${label(to)}”` : html`<a class="wrap" href=${siteAddress(owner.name ?? '')}>${owner.name}</a>`}.`;
  }

  /** What is known of a site, if that is about this identity. */
  private ownerOf(name: string): SiteOwner | null {
    const owner = this.owners.get(name) ?? null;
    return owner?.id === desk.state?.id ? owner : null;
  }

  /** Looks each of them up: the identity can have been changed on another machine. */
  private async lookAtSites(): Promise<void> {
    const gyre = await session.ready();
    await Promise.all(mySites.all().map(async ({ name }) => {
      try {
        const site = await gyre.site(name, { follow: false });
        const owner = await site.owner().finally(() => site.close());
        this.owners = new Map(this.owners).set(name, owner);
      } catch {
        // Nobody who could tell is linked now: what is known of it stays.
      }
    }));
  }

  /** Leads the readers of a site on to another one, or back. */
  private async move(field: HTMLSelectElement, from: MySite, number: number): Promise<void> {
    const to = mySites.named(field.value);
    if (!to) return;
    const sure = to === from || (await confirmDialog({
      title: `Lead the readers of “${label(from)}” on?`,
      text: `Whoever opens its address comes to “${label(to)}” from then on, which stays what it is. For the same site at another address, publish its folder there first. You can take this back here.`,
      action: 'Lead them on',
    }));
    if (sure) await this.name(from, number, to);
    field.value = this.ownerOf(from.name)?.name ?? from.name;
  }

  /** The identity names `to` as the address of the site that `from` is. */
  private async name(from: MySite, number: number, to: MySite): Promise<void> {
    const done = await this.run((box) => box.setSite(number, to.name), 'Signed. Your contacts and readers can look it up.');
    const owner = this.ownerOf(from.name);
    // Others hear of it in a moment; it is so already.
    if (done && owner) this.owners = new Map(this.owners).set(from.name, { id: owner.id, site: number, ...(to === from ? { state: 'here' } : { state: 'moved', name: to.name }) });
  }

  /** The identity names a site no more. */
  private async withdraw({ site, name }: NamedSite, what: string): Promise<void> {
    const sure = await confirmDialog({
      title: `Withdraw ${what}?`,
      text: 'Your identity names it no more: its readers are told that it was yours, and nobody is led on from its address. The site stays where it is. That it was yours stays in the history of your identity, which everybody can read. Where it was published from it can be signed again.',
      action: 'Withdraw it',
    });
    if (!sure) return;
    const done = await this.run((box) => box.setSite(site, null), 'Withdrawn. Your contacts and readers can look it up.');
    if (!done) return;
    const id = desk.state?.id ?? '';
    const gone = [...this.owners].filter(([at, owner]) => owner?.id === id && owner.site === site && (at === name || owner.name === name));
    // Others hear of it in a moment; it is so already.
    if (gone.length > 0) this.owners = new Map([...this.owners, ...gone.map(([at]): [string, SiteOwner] => [at, { id, site, state: 'withdrawn' }])]);
    await this.updateComplete;
    // The button that was pressed is gone.
    this.querySelector<HTMLElement>('[data-testid="identity-sites"] > summary')?.focus();
  }

  private form(doing: Doing): unknown {
    if (this.asked && this.fresh) return this.question(this.fresh, this.asked);
    if (this.fresh) return this.list(this.fresh);
    return html`<form novalidate @submit=${(event: SubmitEvent) => void this.typed(event, doing)}>
      <p>${WHAT[doing]}</p>
      ${doing === 'back' ? this.choice() : nothing}
      ${desk.state?.onPaper ? this.field(doing) : nothing}
      <p id="recovery-note" class=${this.wrong === '' ? 'hint' : 'hint bad'} aria-live="polite" data-testid="recovery-note">${this.wrong}</p>
      <div class="row"><button class=${doing === 'end' ? 'button danger' : 'button primary'} data-testid="recovery-go" ?disabled=${this.busy}>${this.busy ? 'One moment…' : ACTION[doing]}</button>
        <button type="button" class="button quiet" @click=${() => this.leave()}>Cancel</button></div>
    </form>`;
  }

  private field(doing: Doing): unknown {
    return html`<label class="label" for="recovery-words">${doing === 'rejoin' ? 'The 24 recovery words that were typed for the last change' : 'The 24 recovery words of your latest paper'}</label>
      <textarea id="recovery-words" class="field words-area" rows="4" autocomplete="off" autocapitalize="none" spellcheck="false" data-testid="recovery-words" aria-invalid=${this.wrong === '' ? 'false' : 'true'} aria-describedby="recovery-note" @input=${() => (this.wrong = '')}></textarea>
      <p class="hint">They are not the words of your keys.</p>`;
  }

  /** How much of the identity's past stays. */
  private choice(): unknown {
    return html`<label class="label" for="identity-keep">Undo everything after</label>
      <select id="identity-keep" class="field" data-testid="identity-keep" @change=${(event: Event) => (this.keep = Number((event.target as HTMLSelectElement).value))}>
        ${this.steps.map(({ act, time }, place) => html`<option value=${place + 1} ?selected=${place + 1 === this.keep}>${place + 1}. ${ACTS[act]}${time > 0 ? `, ${new Date(time).toLocaleString()}` : ''}</option>`)}
      </select>`;
  }

  private list(words: readonly string[]): unknown {
    return html`<div data-testid="recovery-list"><p><strong>Write down these 24 recovery words</strong>, on a paper of their own. Keep it where your machines are not. They are shown once, and are kept nowhere. Without them nobody can change the keys of your identity or give it up, not even you.</p>
      <ol class="words" aria-label="The 24 recovery words, in order">${words.map((word) => html`<li><span>${word}</span></li>`)}</ol>
      <div class="row"><button class="button primary" data-testid="recovery-written" @click=${() => (this.asked = placesToAsk())}>${icon('check')} I have written them down</button>
        <button class="button quiet" @click=${() => this.leave()}>Cancel</button></div></div>`;
  }

  private question(words: readonly string[], places: readonly number[]): unknown {
    return html`<form novalidate @submit=${(event: SubmitEvent) => void this.answered(event, words)}>
      <p>Type two of the words, so that you know you can read them.</p>
      <div class="word-fields">${places.map(
        (place) => html`<div class="word-field"><label class="label" for=${`recovery-${place}`}>Word ${place + 1}</label>
          <input id=${`recovery-${place}`} class="field" autocomplete="off" autocapitalize="none" spellcheck="false" data-testid="recovery-answer" data-place=${place} aria-describedby="recovery-note" @input=${() => (this.wrong = '')} /></div>`,
      )}</div>
      <p id="recovery-note" class="hint bad" role="alert" data-testid="recovery-note">${this.wrong}</p>
      <div class="row"><button class="button primary" data-testid="recovery-check" ?disabled=${this.busy}>Go on</button>
        <button type="button" class="button quiet" @click=${() => (this.asked = null)}>Show them again</button></div>
    </form>`;
  }

  private async begin(doing: Doing): Promise<void> {
    this.leave();
    const onPaper = desk.state?.onPaper === true;
    if (doing === 'back') {
      this.steps = (await desk.run((box) => box.history()))?.value ?? [];
      this.keep = this.steps.length;
    }
    if (doing === 'paper') await this.show();
    // Until there is a paper, this machine can end what it began.
    if (doing === 'end' && !onPaper) return this.end();
    if (doing !== 'paper' || this.fresh) this.doing = doing;
    this.toHeading();
  }

  /** New words for a new paper. */
  private async show(): Promise<void> {
    const made = await desk.run((box) => box.recoveryWords());
    this.fresh = made ? wordsIn(made.value) : null;
  }

  private async typed(event: SubmitEvent, doing: Doing): Promise<void> {
    event.preventDefault();
    // Without a paper, this machine signs by itself.
    if (!desk.state?.onPaper) return this.show().then(() => this.toHeading());
    const words = wordsIn(this.querySelector('textarea')?.value ?? '');
    this.wrong = wordsProblem(words, null, true);
    if (this.wrong !== '' || words.length !== WORDS) return this.querySelector('textarea')?.focus();
    const shown = words.join(' ');
    if (doing === 'rejoin') return void (await this.run((box) => box.rejoin(shown), 'This machine is back.'));
    if (doing === 'end') return this.end(shown);
    // The paper is used up: what was typed here may have been seen.
    this.#shown = shown;
    await this.show();
    this.toHeading();
  }

  private async answered(event: SubmitEvent, words: readonly string[]): Promise<void> {
    event.preventDefault();
    const fields = [...this.querySelectorAll<HTMLInputElement>('input')];
    const bad = fields.find((field) => wordsIn(field.value).join(' ') !== words[Number(field.dataset.place)]);
    if (bad) {
      this.wrong = `Word ${Number(bad.dataset.place) + 1} is another one. Look again, also at the order.`;
      return bad.focus();
    }
    const shown = this.#shown;
    const change = { next: words.join(' '), ...(shown === undefined ? {} : { words: shown }), ...(this.doing === 'back' ? { keep: this.keep } : {}) };
    await this.run((box) => box.changeKeys(change), shown === undefined ? 'Your recovery words count from now on.' : 'The keys were changed. From now on the new paper counts.');
  }

  private async end(words?: string): Promise<void> {
    const sure = await confirmDialog({ title: 'Give up this identity?', text: 'It cannot be undone, by nobody. Your address is worth nothing afterwards: mail to it is refused, and you write under another one.', action: 'Give it up' });
    if (sure) await this.run((box) => box.giveUp(words), 'You have given this identity up.');
  }

  private async run(work: Parameters<typeof desk.run<void>>[0], news: string): Promise<boolean> {
    this.busy = true;
    const done = await desk.run(work);
    this.busy = false;
    if (!done) {
      // What was wrong with it stands above; words that were wrong are typed again.
      this.wrong = desk.problem?.message ?? '';
      this.fresh = null;
      this.asked = null;
      if (this.doing === 'paper') this.doing = null;
      return false;
    }
    this.leave();
    desk.tell(news);
    await desk.look();
    return true;
  }

  private leave(): void {
    this.#shown = undefined;
    this.doing = null;
    this.fresh = null;
    this.asked = null;
    this.wrong = '';
  }

  private toHeading(): void {
    void this.updateComplete.then(() => this.querySelector<HTMLElement>('h2')?.focus({ preventScroll: true }));
  }
}

function label({ title, name }: MySite): string {
  return title || name.slice(0, 12);
}

const STANDS: Record<Exclude<SiteOwner['state'], 'moved'>, string> = {
  here: 'It says that it is yours, and your identity names it.',
  withdrawn: 'It says that it is yours, and your identity does not name it any more.',
  unknown: 'It says that it is yours, and your identity was not found to name it: sign.',
};
const CONCURRENT: Record<'open' | 'settled', string> = {
  open: 'Two of your machines changed your identity at the same moment, and one of the changes does not count yet: that machine signs it again when it is there. If you did not use two machines, somebody else has your keys: change them.',
  settled: 'Two of your machines once changed your identity at the same moment. Both changes count.',
};
const WHAT: Record<Doing, string> = {
  paper: '',
  change: 'The words are used up by this, and you are shown new ones for a new paper. Every other machine of yours is left out until you type the words there that you type here. Mail that is on its way still arrives.',
  back: 'What was done to your identity after the step that you choose is undone, if that was less than 72 hours ago: machines that somebody added, a mailbox that was moved, also keys that were changed. Your contacts are shown that there were two versions. You get new words for a new paper.',
  rejoin: 'Type the words with which the keys were changed last, not those of the paper that was made then.',
  end: 'Without them nobody can give it up in your name.',
};
const ACTION: Record<Doing, string> = { paper: '', change: 'Change the keys', back: 'Undo it', rejoin: 'Bring it back', end: 'Give it up…' };
const ACTS: Record<IdentityStep['act'], string> = {
  begin: 'You began',
  rotate: 'Keys were changed',
  recover: 'It was taken back',
  add: 'A machine was added',
  remove: 'A machine was removed',
  mail: 'The mailbox was set',
  site: 'A site was set',
  end: 'It was given up',
};
