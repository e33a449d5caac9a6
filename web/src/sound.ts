// What is heard: tones made here, so that nothing has to be fetched. A browser lets no page sound before a person has pressed or
// clicked something; until then the page says that it is blocked.

export type SoundState = 'untested' | 'on' | 'blocked' | 'none';

const RING_MS = 2_000;
const ALARM_MS = 1_000;
/** A browser that lets us sound answers at once. */
const ANSWER_MS = 1_500;

export class Sound {
  state: SoundState;
  private context: AudioContext | null = null;
  private timer = 0;
  private ringing: 'no' | 'ring' | 'alarm' = 'no';

  constructor(private readonly changed: (checked: boolean) => void) {
    this.state = 'AudioContext' in window ? 'blocked' : 'none';
  }

  /** The first key or click of a shift: wakes the sound, and plays the check once. */
  async wake(): Promise<void> {
    if (this.state === 'blocked') await this.check();
  }

  /** Plays three rising tones; what the browser says of it becomes the state. */
  async check(): Promise<void> {
    if (this.state === 'none') return;
    try {
      this.context ??= this.newContext();
      const { context } = this;
      await Promise.race([context.resume(), new Promise((resolve) => window.setTimeout(resolve, ANSWER_MS))]);
      if (context.state !== 'running') return this.enter('blocked', false);
      [523, 659, 784].forEach((hertz, at) => this.tone(hertz, at * 0.2, 0.18));
      this.enter('on', true);
      this.restart();
    } catch {
      this.enter('none', false);
    }
  }

  /** Rings until told otherwise. */
  ring(how: 'no' | 'ring' | 'alarm'): void {
    if (how === this.ringing) return;
    this.ringing = how;
    this.restart();
  }

  /** Two falling tones, once: the link is lost. */
  fall(): void {
    if (this.state === 'on') [440, 330].forEach((hertz, at) => this.tone(hertz, at * 0.3, 0.28));
  }

  private restart(): void {
    window.clearInterval(this.timer);
    if (this.ringing === 'no' || this.state !== 'on') return;
    this.pulse();
    this.timer = window.setInterval(() => this.pulse(), this.ringing === 'alarm' ? ALARM_MS : RING_MS);
  }

  private pulse(): void {
    if (this.context?.state !== 'running') {
      this.enter('blocked', false);
      return this.restart();
    }
    if (this.ringing === 'alarm') [0, 0.25, 0.5].forEach((at) => this.tone(1_175, at, 0.18));
    else [880, 660, 880, 660].forEach((hertz, at) => this.tone(hertz, at * 0.2, 0.18));
  }

  private newContext(): AudioContext {
    const context = new AudioContext();
    context.onstatechange = () => {
      if (this.state === 'on' && context.state !== 'running') this.enter('blocked', false);
    };
    return context;
  }

  private tone(hertz: number, inSecs: number, secs: number): void {
    const { context } = this;
    if (!context) return;
    const start = context.currentTime + inSecs;
    const [tone, volume] = [context.createOscillator(), context.createGain()];
    tone.type = 'triangle';
    tone.frequency.value = hertz;
    // Soft edges: a click is not a tone.
    volume.gain.setValueAtTime(0, start);
    volume.gain.linearRampToValueAtTime(0.5, start + 0.02);
    volume.gain.setValueAtTime(0.5, start + secs - 0.03);
    volume.gain.linearRampToValueAtTime(0, start + secs);
    tone.connect(volume).connect(context.destination);
    tone.start(start);
    tone.stop(start + secs);
  }

  private enter(state: SoundState, checked: boolean): void {
    const changed = state !== this.state;
    this.state = state;
    if (changed || checked) this.changed(checked);
  }
}
