// Runs in the page before its own modules: notes when things happen, in seconds since the link was opened.
(() => {
  const POLL_MS = 5;
  const AUDIBLE = 0.01; // a tone at half of full scale is far above, comfort noise far below

  const marks = {};
  /** Resolves with all marks when sound is heard. */
  window.palcoMarks = new Promise((resolve) => (window.resolveMarks = () => resolve(marks)));
  const mark = (name) => (marks[name] ??= performance.now() / 1000);
  new PerformanceObserver((list) => {
    for (const { name, startTime } of list.getEntries()) if (name === "first-contentful-paint") marks.first_paint_s ??= startTime / 1000;
  }).observe({ type: "paint", buffered: true });

  const audio = new AudioContext();
  const listen = (track) => {
    const analyser = new AnalyserNode(audio, { fftSize: 256 });
    audio.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      if (!samples.some((sample) => Math.abs(sample) > AUDIBLE)) return;
      mark("audible_s");
      clearInterval(timer);
      window.resolveMarks();
    }, POLL_MS);
  };

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...options) {
      super(...options);
      mark("session_s");
      this.addEventListener("track", ({ track }) => {
        mark("answer_s");
        listen(track);
      });
      this.addEventListener("connectionstatechange", () => this.connectionState === "connected" && mark("connected_s"));
    }
  };
})();
