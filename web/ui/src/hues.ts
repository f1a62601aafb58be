// Colours of numbers: lightness, hue and chroma go evenly in OKLCH (Ottosson 2020, "A perceptual color space for image processing"), so that equal differences look equal.
// The greater a number, the more its colour stands out from the card: darker on light ones, lighter on dark ones.

const gamma = (v: number) => Math.round(255 * Math.min(1, Math.max(0, v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055)));

/** OKLCH to sRGB, hue in degrees; what a screen cannot show is cut. */
export function rgbOf(lightness: number, chroma: number, hue: number): [number, number, number] {
  const [a, b] = [chroma * Math.cos((hue * Math.PI) / 180), chroma * Math.sin((hue * Math.PI) / 180)];
  const [l, m, s] = [lightness + 0.3963377774 * a + 0.2158037573 * b, lightness - 0.1055613458 * a - 0.0638541728 * b, lightness - 0.0894841775 * a - 1.291485548 * b].map((v) => v ** 3) as [number, number, number];
  return [gamma(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s), gamma(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s), gamma(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s)];
}

export const steps = 16;
const from = { light: [0.77, 250], dark: [0.46, 265] } as const, to = { light: [0.4, 395], dark: [0.87, 440] } as const;
const chroma = 0.115;

/** Colours from the least to the greatest: from blue over purple to a dark red, or to yellow on dark cards. */
export const ramp = (card: 'light' | 'dark'): string[] => Array.from({ length: steps }, (_, i) => {
  const t = i / (steps - 1), [[l0, h0], [l1, h1]] = [from[card], to[card]];
  return `rgb(${rgbOf(l0 + t * (l1 - l0), chroma, h0 + t * (h1 - h0)).join(' ')})`;
});
