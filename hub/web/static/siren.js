// The alarm sound: two tones and a vibration while a fire alarm waits for an answer.
//
// Browsers let a page make a sound only after the reader has touched it. Until then the page says so.

const KEY = "gridhub.sound";
const EVERY_MS = 6000;

export class Siren {
  /** `blocked(isBlocked)` is told whether a sound is wanted that the browser does not allow yet. */
  constructor(blocked) {
    this.blocked = blocked;
    this.wanted = remembered();
    this.context = null;
    this.sounding = false;
    this.timer = 0;
    const unlock = () => this.unlock();
    for (const gesture of ["pointerup", "keydown"]) window.addEventListener(gesture, unlock, { capture: true });
  }

  unlock() {
    const Context = window.AudioContext || window.webkitAudioContext;
    if (!Context) return;
    if (!this.context) this.context = new Context();
    if (this.context.state === "suspended") this.context.resume().then(() => this.tell(), () => this.tell());
    this.tell();
  }

  get ready() {
    return this.context !== null && this.context.state === "running";
  }

  toggle() {
    this.wanted = !this.wanted;
    try {
      localStorage.setItem(KEY, this.wanted ? "on" : "off");
    } catch (error) {
      // Without storage the choice lasts as long as the page.
    }
    this.tell();
    if (!this.wanted) navigator.vibrate && navigator.vibrate(0);
  }

  /** Sounds while `needed`, again every few seconds. */
  sound(needed) {
    if (needed === this.sounding) return;
    this.sounding = needed;
    clearInterval(this.timer);
    if (needed) {
      this.once();
      this.timer = setInterval(() => this.once(), EVERY_MS);
    } else if (navigator.vibrate) {
      navigator.vibrate(0);
    }
    this.tell();
  }

  once() {
    if (!this.wanted) return;
    if (navigator.vibrate && navigator.userActivation && navigator.userActivation.hasBeenActive) navigator.vibrate([500, 150, 500, 150, 500]);
    if (!this.ready) return;
    const at = this.context.currentTime;
    for (let n = 0; n < 6; n += 1) this.tone(n % 2 ? 660 : 880, at + n * 0.28, 0.26);
  }

  tone(frequency, at, length) {
    const oscillator = this.context.createOscillator();
    const volume = this.context.createGain();
    oscillator.type = "square";
    oscillator.frequency.value = frequency;
    volume.gain.setValueAtTime(0, at);
    volume.gain.linearRampToValueAtTime(0.2, at + 0.02);
    volume.gain.setValueAtTime(0.2, at + length - 0.03);
    volume.gain.linearRampToValueAtTime(0, at + length);
    oscillator.connect(volume).connect(this.context.destination);
    oscillator.start(at);
    oscillator.stop(at + length);
  }

  tell() {
    this.blocked(this.wanted && this.sounding && !this.ready);
  }
}

function remembered() {
  try {
    return localStorage.getItem(KEY) !== "off";
  } catch (error) {
    return true;
  }
}
