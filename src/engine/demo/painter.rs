//! A small rasterizer for the demo pictures: shapes on a canvas of twice the size,
//! averaged down, with seeded noise and random numbers. Colors are sRGB from 0 to 1.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::many_single_char_names,
    reason = "pixel arithmetic: all values are small, coordinates have one letter"
)]

use crate::model::media::Pixels;

pub type Color = [f32; 3];
pub type Point = (f32, f32);

/// Sub-pixels along each side of a pixel.
const FINE: u32 = 2;

pub fn hex(rgb: u32) -> Color {
    [16, 8, 0].map(|shift| (rgb >> shift & 255) as f32 / 255.0)
}

pub fn mix(a: Color, b: Color, t: f32) -> Color {
    let t = t.clamp(0.0, 1.0);
    [0, 1, 2].map(|i: usize| a[i] + (b[i] - a[i]) * t)
}

pub fn scale(color: Color, by: f32) -> Color {
    color.map(|c| c * by)
}

/// The color at a place between 0 and 1 of an even row of stops.
pub fn ramp(stops: &[Color], t: f32) -> Color {
    let last = stops.len() - 1;
    let at = t.clamp(0.0, 1.0) * last as f32;
    let i = (at as usize).min(last.saturating_sub(1));
    mix(stops[i], stops[(i + 1).min(last)], at - i as f32)
}

pub fn smooth(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Random numbers that are the same everywhere (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(1))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    pub fn range(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * self.unit()
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

fn lattice(x: i32, y: i32, seed: u32) -> f32 {
    let mut h = (x as u32)
        .wrapping_mul(0x8da6_b343)
        .wrapping_add((y as u32).wrapping_mul(0xd816_3841))
        .wrapping_add(seed.wrapping_mul(0xcb1a_b31f));
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    ((h ^ (h >> 15)) >> 8) as f32 / (1 << 24) as f32
}

/// Smooth noise from 0 to 1.
pub fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let (ix, iy) = (fx as i32, fy as i32);
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v) = (ease(x - fx), ease(y - fy));
    let at = |dx, dy| lattice(ix + dx, iy + dy, seed);
    let top = at(0, 0) + (at(1, 0) - at(0, 0)) * u;
    let bottom = at(0, 1) + (at(1, 1) - at(0, 1)) * u;
    top + (bottom - top) * v
}

/// Noise of several sizes on top of each other, from 0 to 1.
pub fn fractal(mut x: f32, mut y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut total) = (0.0, 0.5, 0.0);
    for octave in 0..octaves {
        sum += noise(x, y, seed + octave) * weight;
        total += weight;
        weight *= 0.5;
        (x, y) = (x * 2.03 + 17.3, y * 2.03 - 9.1);
    }
    sum / total
}

/// A costly smooth function, computed on a coarse grid and interpolated.
pub struct Field {
    step: f32,
    columns: usize,
    values: Vec<f32>,
}

impl Field {
    /// Of a canvas of that size, every `step` pixels.
    pub fn new(w: f32, h: f32, step: f32, value: impl Fn(f32, f32) -> f32) -> Self {
        let columns = (w / step) as usize + 4;
        let rows = (h / step) as usize + 4;
        // One cell of margin, for those who look left of or above a place.
        let values = (0..rows * columns)
            .map(|i| {
                let (x, y) = ((i % columns) as f32 - 1.0, (i / columns) as f32 - 1.0);
                value(x * step, y * step)
            })
            .collect();
        Self {
            step,
            columns,
            values,
        }
    }

    pub fn at(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (
            (x / self.step + 1.0).max(0.0),
            (y / self.step + 1.0).max(0.0),
        );
        let (i, j) = (x as usize, y as usize);
        let (u, v) = (x - i as f32, y - j as f32);
        let start = (j * self.columns + i).min(self.values.len() - self.columns - 2);
        let [a, b] = [self.values[start], self.values[start + 1]];
        let [c, d] = [
            self.values[start + self.columns],
            self.values[start + self.columns + 1],
        ];
        let top = a + (b - a) * u;
        top + (c + (d - c) * u - top) * v
    }
}

/// The canvas. Coordinates run from (0, 0) at the top left to (`w`, `h`).
pub struct Painter {
    pub w: f32,
    pub h: f32,
    width: usize,
    height: usize,
    fine: Vec<Color>,
}

impl Painter {
    pub fn new(width: u32, height: u32) -> Self {
        let (fine_width, fine_height) = ((width * FINE) as usize, (height * FINE) as usize);
        Self {
            w: width as f32,
            h: height as f32,
            width: fine_width,
            height: fine_height,
            fine: vec![[0.0; 3]; fine_width * fine_height],
        }
    }

    /// Sets every point; `x` and `y` in pixels. The first argument is what is there.
    pub fn shade(&mut self, color: impl Fn(Color, f32, f32) -> Color) {
        let step = 1.0 / FINE as f32;
        for (j, row) in self.fine.chunks_exact_mut(self.width).enumerate() {
            let y = (j as f32 + 0.5) * step;
            for (i, point) in row.iter_mut().enumerate() {
                *point = color(*point, (i as f32 + 0.5) * step, y);
            }
        }
    }

    /// The same for colors that depend on the height alone.
    pub fn sky(&mut self, stops: &[Color]) {
        for (j, row) in self.fine.chunks_exact_mut(self.width).enumerate() {
            row.fill(ramp(stops, j as f32 / self.height as f32));
        }
    }

    /// Smooth shading at a quarter of the cost: computed for whole pixels only.
    pub fn shade_soft(&mut self, color: impl Fn(Color, f32, f32) -> Color) {
        for j in (0..self.height).step_by(2) {
            for i in (0..self.width).step_by(2) {
                let at = j * self.width + i;
                let there = self.fine[at];
                let (x, y) = (i as f32 / 2.0 + 0.5, j as f32 / 2.0 + 0.5);
                let now = color(there, x, y);
                let change = [0, 1, 2].map(|c: usize| now[c] - there[c]);
                for near in [at, at + 1, at + self.width, at + self.width + 1] {
                    for (c, change) in self.fine[near].iter_mut().zip(change) {
                        *c += change;
                    }
                }
            }
        }
    }

    fn blend(&mut self, i: usize, j: usize, color: Color, alpha: f32) {
        let at = &mut self.fine[j * self.width + i];
        *at = mix(*at, color, alpha);
    }

    /// Fine indices that cover a span in pixels.
    fn span(from: f32, to: f32, limit: usize) -> std::ops::Range<usize> {
        let fine = FINE as f32;
        let start = (from * fine).floor().max(0.0) as usize;
        let end = ((to * fine).ceil().max(0.0) as usize).min(limit);
        start.min(end)..end
    }

    /// Everything at most `r` from the center.
    pub fn disk(&mut self, (x, y): Point, r: f32, color: Color, alpha: f32) {
        let step = 1.0 / FINE as f32;
        for j in Self::span(y - r, y + r, self.height) {
            let dy = (j as f32 + 0.5) * step - y;
            let reach = (r * r - dy * dy).max(0.0).sqrt();
            for i in Self::span(x - reach, x + reach, self.width) {
                let dx = (i as f32 + 0.5) * step - x;
                if dx * dx + dy * dy <= r * r {
                    self.blend(i, j, color, alpha);
                }
            }
        }
    }

    /// Light that is added, fading out towards `r`.
    pub fn glow(&mut self, (x, y): Point, r: f32, color: Color, strength: f32) {
        let step = 1.0 / FINE as f32;
        for j in Self::span(y - r, y + r, self.height) {
            let dy = (j as f32 + 0.5) * step - y;
            for i in Self::span(x - r, x + r, self.width) {
                let dx = (i as f32 + 0.5) * step - x;
                let fade = 1.0 - (dx * dx + dy * dy).sqrt() / r;
                if fade > 0.0 {
                    let light = fade * fade * strength;
                    let at = &mut self.fine[j * self.width + i];
                    for c in 0..3 {
                        at[c] += color[c] * light;
                    }
                }
            }
        }
    }

    pub fn rect(&mut self, x: f32, y: f32, w: f32, h: f32, color: Color, alpha: f32) {
        for j in Self::span(y, y + h, self.height) {
            for i in Self::span(x, x + w, self.width) {
                self.blend(i, j, color, alpha);
            }
        }
    }

    /// A filled polygon, even-odd.
    pub fn polygon(&mut self, points: &[Point], color: Color, alpha: f32) {
        self.polygon_with(points, alpha, |_, _| color);
    }

    /// A filled polygon whose color depends on the place.
    pub fn polygon_with(
        &mut self,
        points: &[Point],
        alpha: f32,
        color: impl Fn(f32, f32) -> Color,
    ) {
        let top = points.iter().fold(f32::MAX, |top, p| top.min(p.1));
        let bottom = points.iter().fold(f32::MIN, |bottom, p| bottom.max(p.1));
        let step = 1.0 / FINE as f32;
        let mut crossings: Vec<f32> = Vec::new();
        for j in Self::span(top, bottom, self.height) {
            let y = (j as f32 + 0.5) * step;
            crossings.clear();
            let mut previous = *points.last().unwrap_or(&(0.0, 0.0));
            for &point in points {
                if (previous.1 <= y) != (point.1 <= y) {
                    let t = (y - previous.1) / (point.1 - previous.1);
                    crossings.push(previous.0 + t * (point.0 - previous.0));
                }
                previous = point;
            }
            crossings.sort_by(f32::total_cmp);
            for pair in crossings.chunks_exact(2) {
                let fine = FINE as f32;
                let start = (pair[0] * fine).round().max(0.0) as usize;
                let end = ((pair[1] * fine).round().max(0.0) as usize).min(self.width);
                for i in start..end {
                    let color = color((i as f32 + 0.5) * step, y);
                    self.blend(i, j, color, alpha);
                }
            }
        }
    }

    /// Everything below a line, as in hills.
    pub fn below(&mut self, line: impl Fn(f32) -> f32, color: impl Fn(f32, f32) -> Color) {
        let step = 1.0 / FINE as f32;
        for i in 0..self.width {
            let x = (i as f32 + 0.5) * step;
            let top = line(x);
            for j in Self::span(top, self.h, self.height) {
                let y = (j as f32 + 0.5) * step;
                self.fine[j * self.width + i] = color(x, y - top);
            }
        }
    }

    /// A line with round ends.
    pub fn line(&mut self, a: Point, b: Point, width: f32, color: Color, alpha: f32) {
        let r = width / 2.0;
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let length = (dx * dx + dy * dy).max(1e-6);
        let step = 1.0 / FINE as f32;
        for j in Self::span(a.1.min(b.1) - r, a.1.max(b.1) + r, self.height) {
            let y = (j as f32 + 0.5) * step;
            for i in Self::span(a.0.min(b.0) - r, a.0.max(b.0) + r, self.width) {
                let x = (i as f32 + 0.5) * step;
                let t = (((x - a.0) * dx + (y - a.1) * dy) / length).clamp(0.0, 1.0);
                let (ex, ey) = (x - a.0 - t * dx, y - a.1 - t * dy);
                let distance = (ex * ex + ey * ey).sqrt();
                if distance < r + 0.25 {
                    // The last quarter pixel fades, for lines thinner than that.
                    let edge = ((r + 0.25 - distance) * 2.0).min(1.0);
                    self.blend(i, j, color, alpha * edge);
                }
            }
        }
    }

    pub fn path(&mut self, points: &[Point], width: f32, color: Color, alpha: f32) {
        for pair in points.windows(2) {
            self.line(pair[0], pair[1], width, color, alpha);
        }
    }

    /// Darkens the corners and adds a little grain, as a camera would.
    pub fn finish_photo(&mut self, seed: u32) {
        let (w, h) = (self.w, self.h);
        self.shade_soft(|color, x, y| {
            let (u, v) = (x / w - 0.5, y / h - 0.5);
            let vignette = 1.0 - 0.55 * (u * u + v * v);
            let grain = (lattice(x as i32, y as i32, seed) - 0.5) * 0.018;
            color.map(|c| c * vignette + grain)
        });
    }

    /// The picture, averaged down.
    pub fn into_pixels(self) -> Pixels {
        let (width, height) = (self.width / FINE as usize, self.height / FINE as usize);
        let mut rgba = Vec::with_capacity(width * height * 4);
        for rows in self.fine.chunks_exact(self.width * 2) {
            let (upper, lower) = rows.split_at(self.width);
            for (a, b) in upper.chunks_exact(2).zip(lower.chunks_exact(2)) {
                for c in 0..3 {
                    let sum = [a[0][c], a[1][c], b[0][c], b[1][c]]
                        .iter()
                        .map(|c| c.clamp(0.0, 1.0))
                        .sum::<f32>();
                    rgba.push((sum / 4.0 * 255.0 + 0.5) as u8);
                }
                rgba.push(255);
            }
        }
        Pixels {
            width: width as u32,
            height: height as u32,
            rgba,
        }
    }
}
