/** The microphone: one capture, of which a copy is sent and the original is measured. */

const WISHES = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: { ideal: 1 } };
const METER_MS = 60;

/** Why there is no microphone, as a word that the page has a sentence for. */
const REASONS = {
  NotAllowedError: "refused",
  SecurityError: "refused",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "busy",
  AbortError: "busy",
};

export class MicrophoneError extends Error {
  /** @param {"refused" | "missing" | "busy" | "unsupported"} reason */
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/**
 * Events: `level` (about 16 a second, `level` is new), `lost` (unplugged, or taken away by the system).
 *
 * The copy has its own `enabled`, so the meter shows the voice of someone who is muted: the page can say so.
 */
export class Microphone extends EventTarget {
  #stream;
  #timer = null;
  #audio = null;

  /** What is sent. */
  track;
  /** 0 (silence) to 1 (as loud as it gets), eased for the eye. */
  level = 0;

  /**
   * Asks for the microphone; throws `MicrophoneError`. Call it only after the person said so.
   *
   * @param {string} [deviceId] "" or a device that is gone: the system's choice
   */
  static async open(deviceId = "") {
    if (!navigator.mediaDevices?.getUserMedia) throw new MicrophoneError("unsupported");
    try {
      const audio = deviceId ? { ...WISHES, deviceId: { ideal: deviceId } } : WISHES;
      return new Microphone(await navigator.mediaDevices.getUserMedia({ audio }));
    } catch (error) {
      throw new MicrophoneError(REASONS[error?.name] ?? "busy");
    }
  }

  /** @param {MediaStream} stream */
  constructor(stream) {
    super();
    this.#stream = stream;
    const [original] = stream.getAudioTracks();
    this.track = original.clone();
    this.track.enabled = false;
    original.addEventListener("ended", () => this.dispatchEvent(new Event("lost")));
    this.#measure();
  }

  /** Whether our voice leaves this machine (as far as we decide it). */
  get isOpen() {
    return this.track.enabled;
  }

  set isOpen(isOpen) {
    this.track.enabled = isOpen;
  }

  get deviceId() {
    return this.#stream.getAudioTracks()[0].getSettings().deviceId ?? "";
  }

  close() {
    clearInterval(this.#timer);
    this.#audio?.close();
    this.track.stop();
    for (const track of this.#stream.getTracks()) track.stop();
  }

  #measure() {
    this.#audio = new AudioContext();
    const analyser = this.#audio.createAnalyser();
    analyser.fftSize = 1024;
    this.#audio.createMediaStreamSource(this.#stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.#timer = setInterval(() => {
      if (this.#audio.state === "suspended") this.#audio.resume();
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      const now = loudness(10 * Math.log10(power + 1e-12));
      // Up at once, down slowly: a meter that follows every zero crossing reads as noise.
      this.level = Math.max(now, this.level * 0.82);
      this.dispatchEvent(new Event("level"));
    }, METER_MS);
  }
}

/** @returns {Promise<{inputs: MediaDeviceInfo[], outputs: MediaDeviceInfo[]}>} named only once a microphone was allowed */
export async function devices() {
  const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return {
    inputs: all.filter(({ kind }) => kind === "audioinput"),
    outputs: all.filter(({ kind }) => kind === "audiooutput"),
  };
}

/**
 * Loudness for the eye: -60 dBov (a quiet room) is 0, -15 dBov (a voice close by) is 1. Pure.
 *
 * @param {number} level_dbov
 */
export function loudness(level_dbov) {
  return Math.min(1, Math.max(0, (level_dbov + 60) / 45));
}
