//! Pictures without a place: flows, mosaics, curves, fractals, maps, gradients.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::many_single_char_names,
    clippy::unreadable_literal,
    reason = "pixel arithmetic: all values are small, coordinates have one letter; \
              colors are written as everywhere"
)]

use std::f32::consts::{PI, TAU};

use super::painter::{
    Color, Field, Painter, Point, Random, fractal, hex, mix, noise, ramp, scale, smooth,
};
use crate::model::media::Pixels;

/// Palettes of a ground and four inks.
const PALETTES: [[u32; 5]; 6] = [
    [0x0f1a2b, 0xe8b04a, 0xe4572e, 0x76b5c5, 0xf4ece0],
    [0xf6efe2, 0x264653, 0x2a9d8f, 0xe9c46a, 0xe76f51],
    [0x17111f, 0xff6b9d, 0xc06cf2, 0x5ce1e6, 0xfff1c9],
    [0xfaf3e8, 0x1d3557, 0x457b9d, 0xe63946, 0xa8dadc],
    [0x101d18, 0x8fd694, 0xf2e8a0, 0xe08e45, 0x4f9d8d],
    [0x231a2e, 0xf7b267, 0xf4845f, 0xf25c54, 0xb392ac],
];

fn palette(variant: u32) -> [Color; 5] {
    PALETTES[variant as usize % PALETTES.len()].map(hex)
}

/// Thousands of lines that follow a field.
pub fn flow(p: &mut Painter, variant: u32) {
    let colors = palette(variant);
    let (w, h) = (p.w, p.h);
    let mut random = Random::new(u64::from(variant) + 300);
    p.shade_soft(|_, x, y| scale(colors[0], 1.0 - 0.12 * (x / w - 0.5).hypot(y / h - 0.5)));
    let zoom = [2.2, 3.4, 1.6, 2.8][variant as usize % 4] / w;
    let turns = [1.6, 2.4, 3.0, 1.2][variant as usize % 4];
    for _ in 0..1_500 {
        let mut at = (random.range(-0.05, 1.05) * w, random.range(-0.05, 1.05) * h);
        let region = fractal(at.0 * zoom * 0.8, at.1 * zoom * 0.8, 2, variant + 70);
        let pick = (region * 9.0 + random.unit() * 1.2) as usize % 4;
        let color = mix(colors[1 + pick], colors[4], random.unit() * 0.25);
        let width = 0.6 + random.unit().powi(3) * 2.6;
        let steps = 16 + random.below(36);
        let alpha = random.range(0.45, 0.9);
        let mut path = vec![at];
        for _ in 0..steps {
            let angle = fractal(at.0 * zoom, at.1 * zoom, 2, variant + 5) * TAU * turns;
            at = (at.0 + angle.cos() * 3.6, at.1 + angle.sin() * 3.6);
            path.push(at);
        }
        p.path(&path, width, color, alpha);
    }
}

/// Stained glass: the cells of scattered points, with leading between.
pub fn mosaic(p: &mut Painter, variant: u32) {
    let (w, h) = (p.w, p.h);
    let mut random = Random::new(u64::from(variant) + 330);
    let glass: [[u32; 5]; 3] = [
        [0x0b3954, 0x087e8b, 0xbfd7ea, 0xff5a5f, 0xf7c59f],
        [0x3d1e6d, 0x8332ac, 0xe94f8a, 0xff9a5c, 0xffd97d],
        [0x12372a, 0x436850, 0xadbc9f, 0xfbfada, 0xd9a441],
    ];
    let glass = glass[variant as usize % 3].map(hex);
    let cell = 46.0;
    let (columns, rows) = ((w / cell) as i32 + 3, (h / cell) as i32 + 3);
    let points: Vec<Point> = (0..rows * columns)
        .map(|i| {
            let (x, y) = (i % columns - 1, i / columns - 1);
            (
                (x as f32 + random.range(0.08, 0.92)) * cell,
                (y as f32 + random.range(0.08, 0.92)) * cell,
            )
        })
        .collect();
    let sun = (w * 0.62, h * 0.36);
    let panes: Vec<Color> = points
        .iter()
        .map(|a| {
            let away = ((a.0 - sun.0) / w).hypot((a.1 - sun.1) / h);
            let drift = fractal(a.0 / w * 4.0, a.1 / h * 4.0, 2, variant) * 0.5;
            let tone = 0.88 + 0.24 * noise(a.0 * 0.7, a.1 * 0.7, variant + 3);
            scale(ramp(&glass, 1.25 - away * 1.5 - drift), tone)
        })
        .collect();
    p.shade(|_, x, y| {
        let (cx, cy) = ((x / cell) as i32 + 1, (y / cell) as i32 + 1);
        let mut nearest = (f32::MAX, 0_usize);
        let mut second = (f32::MAX, 0_usize);
        for gy in (cy - 1).max(0)..(cy + 2).min(rows) {
            for gx in (cx - 1).max(0)..(cx + 2).min(columns) {
                let i = (gy * columns + gx) as usize;
                let (dx, dy) = (points[i].0 - x, points[i].1 - y);
                let d = dx * dx + dy * dy;
                if d < nearest.0 {
                    second = nearest;
                    nearest = (d, i);
                } else if d < second.0 {
                    second = (d, i);
                }
            }
        }
        let (a, b) = (points[nearest.1], points[second.1]);
        let between = (a.0 - b.0).hypot(a.1 - b.1).max(1.0);
        let edge = (second.0 - nearest.0) / (2.0 * between);
        let wave = 0.95 + 0.1 * noise(x * 0.09, y * 0.09, variant + 9);
        let color = scale(panes[nearest.1], wave);
        mix(hex(0x101014), color, smooth(1.0, 2.4, edge))
    });
}

/// Quarter arcs on a grid that join into endless ribbons.
pub fn ribbons(p: &mut Painter, variant: u32) {
    let colors = palette(variant + 1);
    let (w, h) = (p.w, p.h);
    let tile = [60.0, 40.0, 80.0][variant as usize % 3];
    let drift = Field::new(w, h, 6.0, |x, y| {
        fractal(x / w * 1.6, y / h * 1.6, 2, variant + 6)
    });
    p.shade(|_, x, y| {
        let (gx, gy) = ((x / tile).floor(), (y / tile).floor());
        let (mut u, v) = (x / tile - gx, y / tile - gy);
        if noise(gx * 7.3 + 0.5, gy * 5.1 + 0.5, variant + 2) > 0.5 {
            u = 1.0 - u;
        }
        let d = (u.hypot(v) - 0.5)
            .abs()
            .min(((1.0 - u).hypot(1.0 - v) - 0.5).abs());
        let t = drift.at(x, y);
        let ground = mix(colors[0], colors[1], smooth(0.3, 0.9, t) * 0.25);
        let ribbon = ramp(
            &[colors[2], colors[3], colors[4], colors[2]],
            smooth(0.2, 0.8, t),
        );
        let width = 0.5 / tile;
        let core = smooth(0.13 + width, 0.13 - width, d);
        let seam = smooth(0.175 + width, 0.175 - width, d);
        let shine = smooth(0.06, 0.0, d) * 0.3;
        let rim = mix(ground, scale(colors[0], 0.55), seam);
        mix(rim, mix(ribbon, [1.0; 3], shine), core)
    });
}

/// Curves that a wheel in a wheel draws.
pub fn spirograph(p: &mut Painter, variant: u32) {
    let colors = palette([2, 0, 4, 5][variant as usize % 4]);
    let (w, h) = (p.w, p.h);
    let center = (w / 2.0, h / 2.0);
    let r = w.min(h) * 0.44;
    p.shade_soft(|_, x, y| {
        let away = ((x - center.0) / w).hypot((y - center.1) / h);
        mix(scale(colors[0], 1.5), scale(colors[0], 0.6), away * 1.5)
    });
    p.glow(center, r * 1.5, colors[2], 0.14);
    let shapes: [[(f32, f32, f32); 3]; 4] = [
        [(5.0, 3.0, 0.9), (8.0, 3.0, 0.62), (12.0, 5.0, 0.34)],
        [(7.0, 2.0, 0.95), (9.0, 4.0, 0.66), (5.0, 2.0, 0.36)],
        [(11.0, 4.0, 0.92), (6.0, 5.0, 0.6), (13.0, 6.0, 0.4)],
        [(3.0, 1.0, 0.95), (10.0, 3.0, 0.7), (7.0, 3.0, 0.42)],
    ];
    for (ring, (a, b, size)) in shapes[variant as usize % 4].into_iter().enumerate() {
        for copy in 0..9 {
            let turn = copy as f32 * 0.021 * (ring as f32 + 1.0);
            let shrink = size * (1.0 - copy as f32 * 0.026);
            let color = ramp(
                &[colors[1 + ring % 4], colors[1 + (ring + 1) % 4]],
                copy as f32 / 8.0,
            );
            let steps = 700;
            let points: Vec<Point> = (0..=steps)
                .map(|i| {
                    let t = i as f32 / steps as f32 * TAU * b;
                    let radius = r * shrink * (0.58 + 0.42 * (t * a / b).cos());
                    let angle = t + turn + ring as f32 * 0.4;
                    (
                        center.0 + radius * angle.cos(),
                        center.1 + radius * angle.sin(),
                    )
                })
                .collect();
            p.path(&points, 1.0, color, 0.75);
        }
    }
}

/// The boundary of a Julia set, with smooth bands around it.
pub fn julia(p: &mut Painter, variant: u32) {
    let seeds = [
        (-0.79_f32, 0.15_f32),
        (0.285, 0.01),
        (-0.4, 0.6),
        (-0.835, -0.2321),
    ];
    let bands: [[u32; 6]; 4] = [
        [0x04061a, 0x1b2a78, 0x2f8fd0, 0xf3f1d6, 0xf0a33a, 0x5b1a2a],
        [0x0a0414, 0x4b1266, 0xc23b8a, 0xffb38a, 0xfff4d2, 0x2c6e8f],
        [0x03110f, 0x0d4f4a, 0x4bb3a0, 0xf4f1c9, 0xe5904a, 0x4a1f1c],
        [0x080a12, 0x27345c, 0x8a86c9, 0xf7dff0, 0xff8f8f, 0x5c2350],
    ];
    let v = variant as usize % 4;
    let (cx, cy) = seeds[v];
    let colors = bands[v].map(hex);
    let (w, h) = (p.w, p.h);
    let zoom = [2.9, 2.5, 2.6, 3.0][v] / w.max(h);
    let (sin, cos) = [0.3_f32, 0.9, -0.5, 0.1][v].sin_cos();
    p.shade(|_, px, py| {
        let (a, b) = ((px - w / 2.0) * zoom, (py - h / 2.0) * zoom);
        let (mut x, mut y) = (a * cos - b * sin, a * sin + b * cos);
        let mut trap = f32::MAX;
        for i in 0..100_u16 {
            let (x2, y2) = (x * x, y * y);
            if x2 + y2 > 64.0 {
                let smooth_count = f32::from(i) + 1.0 - ((x2 + y2).ln() / 2.0 / 2_f32.ln()).log2();
                let t = (smooth_count.max(0.0) / 140.0).powf(0.42) * 1.6;
                let fold = 1.0 - ((t * 1.25).rem_euclid(2.0) - 1.0).abs();
                return ramp(&colors, fold);
            }
            trap = trap.min(x2 + y2);
            y = 2.0 * x * y + cy;
            x = x2 - y2 + cx;
        }
        scale(ramp(&colors[..3], trap.sqrt() * 1.6), 0.8)
    });
}

/// Islands with heights, contour lines and depths.
pub fn map(p: &mut Painter, variant: u32) {
    let (w, h) = (p.w, p.h);
    let lands: [[u32; 5]; 3] = [
        [0xe9dcae, 0xb7c98a, 0x7fae72, 0x9a8561, 0xf7f5ef],
        [0xf6e7c8, 0xe8b878, 0xc9764a, 0x8a4a3a, 0xfdf6ea],
        [0xd8e2dc, 0xa3c4bc, 0x6b9080, 0x4a6670, 0xf6fff8],
    ];
    let seas: [[u32; 3]; 3] = [
        [0x1f5b7a, 0x3f8fae, 0x9fd3d4],
        [0x22384f, 0x3f6f86, 0x9cc5bf],
        [0x24405c, 0x477998, 0xa9cfdc],
    ];
    let v = variant as usize % 3;
    let (land, sea) = (lands[v].map(hex), seas[v].map(hex));
    let heights = Field::new(w, h, 1.5, |x, y| {
        let (u, v) = (x / w - 0.5, y / h - 0.5);
        let round = 1.0 - (u * u * 3.2 + v * v * 3.2);
        fractal(x / 170.0 + 3.0, y / 170.0, 5, variant * 13 + 1) * 0.85 + round * 0.36 - 0.3
    });
    let height = |x: f32, y: f32| heights.at(x, y);
    let level = 0.42;
    p.shade_soft(|_, x, y| {
        let z = height(x, y);
        let slope = z - height(x - 1.5, y - 1.5);
        if z < level {
            return ramp(&sea, (z / level).powi(2) * 1.02);
        }
        let t = ((z - level) / (0.82 - level)).clamp(0.0, 1.0);
        let step = (t * 9.0).floor() / 9.0;
        scale(ramp(&land, step), 1.0 + (slope * 11.0).clamp(-0.28, 0.22))
    });
    p.shade(|c, x, y| {
        let z = height(x, y);
        let gradient =
            ((height(x + 0.5, y) - z).abs() + (height(x, y + 0.5) - z).abs()).max(1e-5) * 2.0;
        if z < level {
            let ring = ((z - level) / 0.022).fract().abs();
            let near = smooth(level - 0.075, level, z);
            return mix(
                c,
                [1.0; 3],
                smooth(0.25, 0.0, ring.min(1.0 - ring)) * near * 0.4,
            );
        }
        let spacing = (0.82 - level) / 9.0;
        let ring = ((z - level) / spacing + 0.5).fract() - 0.5;
        let distance = ring.abs() * spacing / gradient;
        mix(c, hex(0x4a3626), smooth(1.0, 0.3, distance) * 0.55)
    });
    for i in 1..6 {
        let t = i as f32 / 6.0;
        p.rect(w * t, 0.0, 0.5, h, [1.0; 3], 0.22);
        p.rect(0.0, h * t, w, 0.5, [1.0; 3], 0.22);
    }
    let rose = (w * 0.9, h * 0.86);
    for i in 0..8 {
        let angle = i as f32 * PI / 4.0;
        let long = if i % 2 == 0 { 26.0 } else { 15.0 };
        let tip = (rose.0 + angle.sin() * long, rose.1 - angle.cos() * long);
        let side = |turn: f32| {
            (
                rose.0 + (angle + turn).sin() * 5.0,
                rose.1 - (angle + turn).cos() * 5.0,
            )
        };
        p.polygon(&[tip, side(0.7), rose], hex(0xfbf3dd), 0.95);
        p.polygon(&[tip, side(-0.7), rose], hex(0x2b2a33), 0.9);
    }
}

/// Hills of flat triangles under a low sun.
pub fn facets(p: &mut Painter, variant: u32) {
    let (w, h) = (p.w, p.h);
    let skies: [[u32; 3]; 2] = [
        [0x355c7d, 0xc06c84, 0xf8b195],
        [0x2c3e66, 0x6fa3c7, 0xf9e4b7],
    ];
    let lands: [[u32; 4]; 2] = [
        [0x2a1a3f, 0x6c3d6b, 0xc4647a, 0xffc49b],
        [0x173a3a, 0x2f7a5e, 0x9cc66b, 0xf6efb4],
    ];
    let v = variant as usize % 2;
    let (sky, land) = (skies[v].map(hex), lands[v].map(hex));
    p.sky(&sky);
    let sun = (w * 0.68, h * 0.34);
    p.glow(sun, h * 0.55, hex(0xffe6bd), 0.5);
    p.disk(sun, h * 0.07, hex(0xfff5de), 1.0);
    let (columns, rows) = (26_i32, 17_i32);
    let mut random = Random::new(u64::from(variant) + 360);
    let mut grid: Vec<(Point, f32)> = Vec::new();
    for j in 0..=rows {
        let t = j as f32 / rows as f32;
        for i in 0..=columns {
            let u = (i as f32 + random.range(-0.32, 0.32)) / columns as f32 * 1.1 - 0.05;
            let peak = fractal(u * 4.0, t * 3.0 + 2.0, 4, variant + 11);
            let high = (peak - 0.3).max(0.0) * (1.0 - t * 0.75) * 0.62;
            let y = h * (0.56 + t.powf(1.3) * 0.5) - high * h;
            grid.push(((u * w, y), high));
        }
    }
    for j in 0..rows {
        let t = j as f32 / rows as f32;
        for i in 0..columns {
            let at = |di: i32, dj: i32| grid[((j + dj) * (columns + 1) + i + di) as usize];
            for corners in [
                [at(0, 0), at(1, 0), at(0, 1)],
                [at(1, 0), at(1, 1), at(0, 1)],
            ] {
                let [a, b, c] = corners;
                let tilt = (b.0.1 - a.0.1) / w * 9.0 + (c.1 - a.1) * 2.0;
                let high = (a.1 + b.1 + c.1) / 3.0;
                let lit = 0.5 + (-tilt).clamp(-0.5, 0.5) + random.range(-0.05, 0.05);
                let tone = ramp(&land, (lit * 0.65 + high * 1.1).clamp(0.0, 1.0));
                let color = mix(mix(tone, sky[1], (1.0 - t) * 0.45), land[0], t * 0.25);
                p.polygon(&[a.0, b.0, c.0], color, 1.0);
                p.path(&[a.0, b.0, c.0], 0.6, scale(color, 1.06), 0.5);
            }
        }
    }
    p.finish_photo(variant + 33);
}

/// Soft fields of color that run into each other.
pub fn gradient(p: &mut Painter, variant: u32) {
    let (w, h) = (p.w, p.h);
    let sets: [[u32; 5]; 3] = [
        [0xff9a8b, 0xff6a88, 0x7b5cff, 0x2bd2ff, 0xfff1a8],
        [0x00c9a7, 0x845ec2, 0xff8066, 0xf9f871, 0x4b4453],
        [0xfbc2eb, 0xa6c1ee, 0x3b5bdb, 0xffd6a5, 0x14213d],
    ];
    let colors = sets[variant as usize % 3].map(hex);
    let mut random = Random::new(u64::from(variant) + 390);
    let blobs: Vec<(Point, f32, Color)> = (0..11)
        .map(|i| {
            (
                (random.range(-0.1, 1.1), random.range(-0.1, 1.1)),
                random.range(0.05, 0.14),
                colors[i % 5],
            )
        })
        .collect();
    p.shade_soft(|_, x, y| {
        let (u, v) = (x / w, y / h);
        let (u, v) = (
            u + (fractal(u * 2.0, v * 2.0, 2, variant) - 0.5) * 0.5,
            v + (fractal(u * 2.0 + 7.0, v * 2.0, 2, variant) - 0.5) * 0.5,
        );
        let (mut sum, mut total) = ([0.0; 3], 0.0);
        for ((bx, by), size, color) in &blobs {
            let d = (u - bx).powi(2) + (v - by).powi(2);
            let weight = (-d / size).exp() + 1e-4;
            for c in 0..3 {
                sum[c] += color[c] * weight;
            }
            total += weight;
        }
        let grain = (noise(x * 1.7, y * 1.7, variant + 4) - 0.5) * 0.03;
        sum.map(|c| c / total + grain)
    });
    for i in 0..3 {
        let r = w.min(h) * (0.2 + 0.09 * i as f32);
        let at = (w * (0.42 + 0.08 * i as f32), h * (0.46 + 0.05 * i as f32));
        p.disk(at, r, [1.0; 3], 0.07);
    }
}

/// One of ten frames of a wheel that turns for ever.
pub fn wheel(frame: u8) -> Pixels {
    let mut painter = Painter::new(320, 320);
    painter.shade_soft(|_, _, _| hex(0x0f1a2b));
    let inks = [0xe8b04a, 0xe4572e, 0x76b5c5, 0xf4ece0].map(hex);
    for spoke in 0_u8..40 {
        let turn = (f32::from(spoke) + f32::from(frame) * 0.4) / 40.0 * TAU;
        let wave = (turn * 5.0).sin();
        let at = |radius: f32, twist: f32| {
            let angle = turn + twist;
            (160.0 + angle.cos() * radius, 160.0 + angle.sin() * radius)
        };
        let color = inks[usize::from(spoke / 4 % 4)];
        let spoke: Vec<Point> = (0_u8..=14)
            .map(|i| f32::from(i) / 14.0)
            .map(|t| at(22.0 + t * 124.0, t * t * 1.1))
            .collect();
        painter.path(&spoke, 1.8, color, 0.8);
        painter.disk(at(112.0 + wave * 22.0, 0.62), 5.0, color, 1.0);
    }
    painter.into_pixels()
}
