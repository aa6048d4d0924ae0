//! Close by: woods, rain on a window, flowers, fish.

#![expect(
    clippy::cast_precision_loss,
    clippy::many_single_char_names,
    clippy::unreadable_literal,
    reason = "pixel arithmetic: all values are small, coordinates have one letter; \
              colors are written as everywhere"
)]

use std::f32::consts::{PI, TAU};

use super::{
    painter::{
        Color, Field, Painter, Point, Random, fractal, hex, mix, noise, ramp, scale, smooth,
    },
    scenes::colors,
};

/// Conifers that vanish in fog.
pub fn forest(p: &mut Painter, variant: u32) {
    let moods: [[u32; 3]; 3] = [
        [0xdfe8e4, 0x9db8b0, 0x12261f],
        [0xf4e3cf, 0xd9a47c, 0x2b1a16],
        [0xcfdcec, 0x7c99bd, 0x0f1c30],
    ];
    let mood = colors(moods[(variant % 3) as usize]);
    let (w, h) = (p.w, p.h);
    let mut random = Random::new(u64::from(variant) + 160);
    p.sky(&[
        mix(mood[0], mood[1], 0.35),
        mood[0],
        mix(mood[0], mood[1], 0.6),
    ]);
    p.glow((w * 0.62, h * 0.25), h * 0.55, [1.0, 0.97, 0.88], 0.3);
    for layer in 0..6_u32 {
        let t = layer as f32 / 5.0;
        let color = mix(mix(mood[0], mood[1], 0.6), mood[2], t.powf(1.25));
        let base = h * (0.5 + 0.095 * layer as f32);
        let ground = |x: f32| {
            base - (fractal(x / w * 2.5 + t * 7.0, 0.4, 4, variant + layer) - 0.5) * h * 0.14
        };
        p.below(ground, |_, depth| {
            mix(
                color,
                mood[0],
                smooth(0.0, h * 0.18, depth) * (1.0 - t) * 0.9,
            )
        });
        let mut x = random.range(-20.0, 0.0);
        while x < w + 20.0 {
            let tall = h * random.range(0.12, 0.24) * (0.45 + t * 0.9);
            tree(p, &mut random, (x, ground(x) + 4.0), tall, color);
            x += tall * random.range(0.16, 0.42);
        }
        let fogs = Field::new(w, h, 5.0, |x, y| {
            fractal(x / w * 3.0 + t * 4.0, y / h * 5.0, 4, variant + 60 + layer)
        });
        p.shade_soft(|c, x, y| {
            let fog = fogs.at(x, y);
            let low = smooth(base - h * 0.24, base + h * 0.08, y);
            mix(
                c,
                mood[0],
                smooth(0.3, 0.8, fog) * low * 0.62 * (1.0 - t * 0.85),
            )
        });
    }
    p.finish_photo(variant + 21);
}

fn tree(p: &mut Painter, random: &mut Random, foot: Point, tall: f32, color: Color) {
    let trunk = (foot.0, foot.1 - tall * 0.5);
    p.line(trunk, foot, tall * 0.03 + 0.6, color, 1.0);
    let tiers = 9;
    for tier in 0..tiers {
        let t = tier as f32 / tiers as f32;
        let y = foot.1 - tall * (1.0 - t * 0.9);
        let half = tall * (0.025 + 0.16 * t) * random.range(0.8, 1.15);
        let drop = tall * 0.15;
        p.polygon(
            &[
                (foot.0, y),
                (foot.0 + half, y + drop),
                (foot.0, y + drop * 0.72),
                (foot.0 - half, y + drop),
            ],
            color,
            1.0,
        );
    }
}

/// City lights out of focus behind a wet window.
pub fn rain(p: &mut Painter, variant: u32) {
    let (w, h) = (p.w, p.h);
    let mut random = Random::new(u64::from(variant) + 190);
    let skies: [[u32; 3]; 2] = [
        [0x0a1026, 0x1b2348, 0x2c1f3f],
        [0x10181c, 0x1d3138, 0x33281f],
    ];
    p.sky(&colors(skies[(variant % 2) as usize]));
    let lights: [&[u32]; 2] = [
        &[0xff7a59, 0xffb347, 0x6ad1ff, 0xff5f9e, 0xfff0c2, 0x8f7bff],
        &[0xffc46b, 0xff9248, 0xffe7b0, 0x79d8c0, 0xe8563f],
    ];
    for _ in 0..70 {
        let at = (random.range(0.0, w), h * random.range(0.15, 0.95));
        let r = random.range(9.0, 34.0);
        let color = hex(random.pick(lights[(variant % 2) as usize]));
        let alpha = random.range(0.08, 0.32);
        p.disk(at, r, color, alpha);
        p.disk(at, r * 0.9, color, alpha * 0.5);
        p.glow(at, r * 2.0, color, alpha * 0.4);
    }
    let seen = |c: Color| mix(c, [0.75, 0.85, 1.0], 0.12);
    for _ in 0..340 {
        let at = (random.range(0.0, w), random.range(0.0, h));
        let r = 0.8 + random.unit().powi(4) * 7.0;
        drop_of_water(p, at, r, seen);
    }
    for _ in 0..14 {
        let (x, length) = (random.range(0.0, w), random.range(0.1, 0.5) * h);
        let top = random.range(-0.1, 0.7) * h;
        let mut at = (x, top);
        for _ in 0..40 {
            let next = (at.0 + random.range(-0.8, 0.8), at.1 + length / 40.0);
            p.line(at, next, 2.4, hex(0xbfd4ff), 0.1);
            at = next;
        }
        drop_of_water(p, at, random.range(4.0, 7.0), seen);
    }
    p.finish_photo(variant + 25);
}

fn drop_of_water(p: &mut Painter, at: Point, r: f32, tint: impl Fn(Color) -> Color) {
    let tall = r * 1.2;
    let body = tint(hex(0x5a6a92));
    p.disk((at.0, at.1), r, body, 0.3);
    p.disk((at.0, at.1 - tall * 0.16), r * 0.8, hex(0x0b1020), 0.32);
    p.disk((at.0, at.1 + r * 0.42), r * 0.42, hex(0xfff3dc), 0.34);
    p.disk((at.0 - r * 0.35, at.1 - r * 0.4), r * 0.18, [1.0; 3], 0.8);
}

/// Flowers of paper, laid in layers with soft shadows.
pub fn flowers(p: &mut Painter, variant: u32) {
    let papers: [[u32; 6]; 3] = [
        [0xfdf0e1, 0xe4572e, 0xf3a712, 0xf7c8a0, 0xa8c686, 0x29604f],
        [0x1e2a4a, 0xf26a8d, 0xf49cbb, 0xffe5d4, 0x7fb7be, 0x3a6b7e],
        [0xe8efe9, 0x6a4c93, 0xb185db, 0xf2c6de, 0x8ac926, 0x3d7a4a],
    ];
    let paper = colors(papers[(variant % 3) as usize]);
    let (w, h) = (p.w, p.h);
    let mut random = Random::new(u64::from(variant) + 220);
    p.shade_soft(|_, x, y| {
        let grain = noise(x * 0.9, y * 0.9, variant) - 0.5;
        scale(paper[0], 1.0 - 0.1 * (y / h) + grain * 0.02)
    });
    for _ in 0..26 {
        let at = (random.range(0.0, w), random.range(0.0, h));
        let angle = random.range(0.0, TAU);
        petal(
            p,
            at,
            angle,
            random.range(0.1, 0.2) * h,
            0.3,
            random.pick(&paper[4..6]),
        );
    }
    let mut places: Vec<(Point, f32)> = Vec::new();
    for _ in 0..400 {
        let r = h * random.range(0.08, 0.2);
        let at = (random.range(0.05, 0.95) * w, random.range(0.06, 0.94) * h);
        let free = places
            .iter()
            .all(|(other, other_r)| (other.0 - at.0).hypot(other.1 - at.1) > (r + other_r) * 0.78);
        if free && places.len() < 13 {
            places.push((at, r));
        }
    }
    for (at, r) in places {
        let petals = 5 + random.below(4);
        let turn = random.range(0.0, TAU);
        let first = random.below(3);
        for (ring, size) in [(0_usize, 1.0), (1, 0.72), (2, 0.46)] {
            let color = paper[1 + (first + ring) % 3];
            for i in 0..petals {
                let angle =
                    turn + ring as f32 * PI / petals as f32 + i as f32 * TAU / petals as f32;
                petal(p, at, angle, r * size, 0.62, color);
            }
        }
        p.disk((at.0 + 1.2, at.1 + 1.8), r * 0.15, [0.0; 3], 0.2);
        p.disk(at, r * 0.15, mix(paper[2], hex(0x3a2a12), 0.55), 1.0);
        for i in 0..12 {
            let angle = i as f32 * TAU / 12.0;
            p.disk(
                (at.0 + angle.cos() * r * 0.1, at.1 + angle.sin() * r * 0.1),
                r * 0.018 + 0.5,
                hex(0xffe9b0),
                0.9,
            );
        }
    }
}

fn petal(p: &mut Painter, at: Point, angle: f32, length: f32, wide: f32, color: Color) {
    let (sin, cos) = angle.sin_cos();
    let outline: Vec<Point> = (0..28)
        .map(|i| {
            let t = i as f32 / 28.0 * TAU;
            let along = (1.0 - t.cos()) / 2.0;
            let across = t.sin() * wide * 0.5 * (along * PI).sin().sqrt().max(0.0);
            (
                at.0 + length * (along * cos - across * sin),
                at.1 + length * (along * sin + across * cos),
            )
        })
        .collect();
    for (offset, alpha) in [(3.0, 0.06), (2.0, 0.08), (1.0, 0.1)] {
        let shadow: Vec<Point> = outline
            .iter()
            .map(|q| (q.0 + offset, q.1 + offset * 1.4))
            .collect();
        p.polygon(&shadow, [0.0; 3], alpha);
    }
    p.polygon_with(&outline, 1.0, |x, y| {
        let along = ((x - at.0) * cos + (y - at.1) * sin) / length;
        scale(color, 0.8 + 0.24 * along.clamp(0.0, 1.0))
    });
    p.line(
        at,
        (at.0 + length * 0.75 * cos, at.1 + length * 0.75 * sin),
        0.7,
        scale(color, 0.72),
        0.6,
    );
}

/// A school of fish in shafts of light.
pub fn fish(p: &mut Painter, variant: u32) {
    let (w, h) = (p.w, p.h);
    let mut random = Random::new(u64::from(variant) + 250);
    let waters: [[u32; 4]; 2] = [
        [0xbff0e6, 0x3fb5c4, 0x13648f, 0x072445],
        [0xf2e9c9, 0x6cc6a8, 0x1d7a80, 0x0a2d46],
    ];
    let water = colors(waters[(variant % 2) as usize]);
    p.shade_soft(|_, x, y| {
        let v = y / h;
        let ray = fractal((x / w + v * 0.25) * 9.0, 0.3, 3, variant + 4);
        let light = smooth(0.45, 0.8, ray) * (1.0 - v).powi(2) * 0.4;
        mix(ramp(&water, v.powf(0.8)), water[0], light)
    });
    let scales: [&[u32]; 2] = [
        &[0xff8a3d, 0xffb84d, 0xff6b5a, 0xffe0a3],
        &[0xf25f5c, 0xffe066, 0xf7a072, 0xf4f1de],
    ];
    for i in 0..46 {
        let t = i as f32 / 45.0;
        let size = 8.0 + t * t * 38.0;
        let at = (random.range(-0.02, 1.02) * w, h * random.range(0.1, 0.86));
        let color = mix(
            water[1],
            hex(random.pick(scales[(variant % 2) as usize])),
            0.25 + t * 0.75,
        );
        let tilt = (at.1 / h - 0.45) * 0.5 + random.range(-0.15, 0.15);
        one_fish(p, at, size, tilt, color);
    }
    for layer in 0..3_u32 {
        let color = mix(water[3], [0.0, 0.02, 0.05], layer as f32 / 3.0);
        p.below(
            |x| {
                h * (0.9 + 0.03 * layer as f32)
                    - fractal(x / w * 4.0, layer as f32, 4, variant + layer) * h * 0.09
            },
            |_, _| color,
        );
        for _ in 0..22 {
            let x = random.range(0.0, w);
            let mut at = (x, h);
            let bend = random.range(-0.5, 0.5);
            for step in 0..12 {
                let sway = (step as f32 * 0.6 + x).sin() * 3.0 + bend * step as f32;
                let next = (x + sway, h - step as f32 * h * random.range(0.012, 0.018));
                p.line(at, next, 4.0 - step as f32 * 0.28, color, 1.0);
                at = next;
            }
        }
    }
    for _ in 0..60 {
        let at = (random.range(0.0, w), random.range(0.0, h * 0.9));
        let r = random.range(0.8, 3.0);
        p.disk(at, r, [1.0; 3], 0.25);
        p.disk((at.0 - r * 0.3, at.1 - r * 0.3), r * 0.4, [1.0; 3], 0.6);
    }
    p.finish_photo(variant + 29);
}

fn one_fish(p: &mut Painter, at: Point, size: f32, tilt: f32, color: Color) {
    let (sin, cos) = tilt.sin_cos();
    let place = |x: f32, y: f32| {
        (
            at.0 + size * (x * cos - y * sin),
            at.1 + size * (x * sin + y * cos),
        )
    };
    let fin = scale(color, 0.8);
    p.polygon(
        &[
            place(-0.75, 0.0),
            place(-1.35, -0.42),
            place(-1.18, 0.0),
            place(-1.35, 0.42),
        ],
        fin,
        0.95,
    );
    p.polygon(
        &[place(0.25, -0.3), place(-0.3, -0.66), place(-0.45, -0.2)],
        fin,
        0.9,
    );
    p.polygon(
        &[place(0.1, 0.28), place(-0.25, 0.56), place(-0.3, 0.2)],
        fin,
        0.85,
    );
    let outline: Vec<Point> = (0..32)
        .map(|i| {
            let t = i as f32 / 32.0 * TAU;
            let x = t.cos();
            place(x, t.sin() * 0.4 * (1.0 - 0.25 * (1.0 - x) * 0.5))
        })
        .collect();
    p.polygon_with(&outline, 1.0, |x, y| {
        let across = ((y - at.1) * cos - (x - at.0) * sin) / size;
        let along = ((x - at.0) * cos + (y - at.1) * sin) / size;
        let stripe = smooth(0.25, 0.0, ((along * 3.0).fract().abs() - 0.5).abs()) * 0.16;
        mix(
            scale(color, 1.0 - across * 0.5 - stripe),
            [1.0; 3],
            smooth(0.1, 0.36, across) * 0.3,
        )
    });
    p.disk(place(0.62, -0.08), size * 0.1, [1.0; 3], 0.95);
    p.disk(place(0.65, -0.08), size * 0.058, hex(0x0b1420), 1.0);
}
