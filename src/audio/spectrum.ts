const SIZE = 4096;
/** Width of the bands in which levels are compared. */
const BAND_HZ = 250;
/** Below this peak (−70 dBFS) a window is not music. */
const SILENT_PEAK = 10 ** (-70 / 20);
/** A codec's low-pass falls this far within `WALL_HZ`; a microphone or a mastering desk does not. */
const WALL_DB = 33;
const WALL_HZ = 1000;
/** Windows may differ by this much; an encoder's limit stays where it is, music's own end wanders. */
const SPREAD_HZ = 600;

export interface SpectrumFacts {
  /** No window reaches −70 dBFS. */
  silent: boolean;
  /**
   * Hz above which every window has nothing, with a cliff and not a slope before it. Undefined = no such cliff, or the
   * windows are too quiet or too few to tell.
   */
  wallHz?: number;
}

/**
 * What lossy coding and resampling leave behind: a cliff in the spectrum. It proves a cut at that frequency; whether
 * the cut is a fraud is for the caller to say, by where it is.
 *
 * @param windows samples of −1…1, at least 4096 in each that counts.
 */
export function analyseSpectrum(windows: Float64Array[], sampleRate: number): SpectrumFacts {
  const loud = windows.filter((window) => peak(window) > SILENT_PEAK);
  if (loud.length === 0) return { silent: windows.length > 0 };
  const walls = loud
    .filter((window) => window.length >= SIZE)
    .map((window) => findWall(bandLevels(window, sampleRate), sampleRate));
  const known = walls.filter((wall) => wall !== undefined);
  if (walls.length < 3 || known.length < walls.length) return { silent: false };
  const [low, high] = [Math.min(...known), Math.max(...known)];
  return high - low > SPREAD_HZ ? { silent: false } : { silent: false, wallHz: high };
}

function peak(samples: Float64Array): number {
  let most = 0;
  for (const sample of samples) most = Math.max(most, Math.abs(sample));
  return most;
}

/** Mean power per band of 250 Hz, in dB. */
function bandLevels(samples: Float64Array, sampleRate: number): number[] {
  const power = new Float64Array(SIZE / 2);
  for (let start = 0; start + SIZE <= samples.length; start += SIZE / 2) {
    const real = new Float64Array(SIZE);
    const imaginary = new Float64Array(SIZE);
    for (let index = 0; index < SIZE; index++) {
      real[index] = (samples[start + index] ?? 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * index) / SIZE));
    }
    transform(real, imaginary);
    for (let bin = 0; bin < power.length; bin++) {
      power[bin] = (power[bin] ?? 0) + (real[bin] ?? 0) ** 2 + (imaginary[bin] ?? 0) ** 2;
    }
  }
  const bands = Math.floor(sampleRate / 2 / BAND_HZ);
  return Array.from({ length: bands }, (_, band) => {
    const from = Math.floor((band * BAND_HZ * SIZE) / sampleRate);
    const to = Math.max(from + 1, Math.floor(((band + 1) * BAND_HZ * SIZE) / sampleRate));
    let sum = 0;
    for (let bin = from; bin < to; bin++) sum += power[bin] ?? 0;
    return 10 * Math.log10(sum / (to - from) + 1e-12);
  });
}

/** The lowest frequency with a cliff before it and nothing but the floor behind it. */
function findWall(levels: number[], sampleRate: number): number | undefined {
  const step = WALL_HZ / BAND_HZ;
  const first = Math.floor(10_000 / BAND_HZ);
  // The topmost bands are empty in every recording: the converter's own filter.
  const last = Math.floor((sampleRate / 2 - 1500) / BAND_HZ) - step;
  const near = 2;
  for (let band = first; band <= last; band++) {
    const before = mean(levels, band - near, band);
    const after = levels.slice(band + step, levels.length - near);
    if (after.length >= near && before - Math.max(...after) >= WALL_DB) return (band + step / 2) * BAND_HZ;
  }
  return undefined;
}

function mean(levels: number[], from: number, to: number): number {
  const part = levels.slice(from, to);
  return part.reduce((sum, level) => sum + level, 0) / part.length;
}

/** In-place radix-2 FFT. */
function transform(real: Float64Array, imaginary: Float64Array): void {
  const size = real.length;
  for (let index = 1, reversed = 0; index < size; index++) {
    let bit = size >> 1;
    for (; (reversed & bit) !== 0; bit >>= 1) reversed ^= bit;
    reversed ^= bit;
    if (index < reversed) [real[index], real[reversed]] = [real[reversed] ?? 0, real[index] ?? 0];
  }
  for (let length = 2; length <= size; length *= 2) {
    const angle = (-2 * Math.PI) / length;
    for (let turn = 0; turn < length / 2; turn++) {
      const [cos, sin] = [Math.cos(angle * turn), Math.sin(angle * turn)];
      for (let start = turn; start < size; start += length) {
        const other = start + length / 2;
        const [a, b] = [real[other] ?? 0, imaginary[other] ?? 0];
        const [x, y] = [a * cos - b * sin, a * sin + b * cos];
        const [p, q] = [real[start] ?? 0, imaginary[start] ?? 0];
        real[start] = p + x;
        imaginary[start] = q + y;
        real[other] = p - x;
        imaginary[other] = q - y;
      }
    }
  }
}
