//! Places: mountains, cities, seas, skies, woods, gardens.

#![expect(
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

fn colors<const N: usize>(values: [u32; N]) -> [Color; N] {
    values.map(hex)
}

fn stars(p: &mut Painter, random: &mut Random, count: usize, down_to: f32) {
    for _ in 0..count {
        let at = (random.range(0.0, p.w), random.range(0.0, down_to));
        let bright = random.unit().powi(3);
        let fade = 1.0 - at.1 / down_to * 0.7;
        let tint = mix(hex(0xfff0d8), hex(0xcfe0ff), random.unit());
        p.disk(at, 0.45 + bright * 0.8, tint, (0.25 + bright * 0.75) * fade);
    }
}

/// Layered ridges that fade into the evening.
pub fn mountains(p: &mut Painter, variant: u32) {
    let skies: [[u32; 5]; 4] = [
        [0x2b1e4d, 0x6b3a75, 0xc8647a, 0xf5a56b, 0xffdf9e],
        [0x0d2b45, 0x1f5673, 0x5aa2a8, 0xc9e0c4, 0xfdf3d0],
        [0x101c3c, 0x24376b, 0x5b5ea6, 0xc98bb9, 0xffc6b0],
        [0x3d0e2a, 0x8c2f39, 0xd9593d, 0xf2a541, 0xf9e0a2],
    ];
    let depths: [u32; 4] = [0x1a1030, 0x0a2233, 0x10142e, 0x24081a];
    let v = (variant % 4) as usize;
    let mut random = Random::new(u64::from(variant) + 11);
    let sky = colors(skies[v]);
    p.sky(&sky);
    let (w, h) = (p.w, p.h);
    if v == 2 {
        stars(p, &mut random, 160, h * 0.5);
    }
    let sun = (w * random.range(0.3, 0.7), h * random.range(0.4, 0.48));
    p.glow(sun, h * 0.6, sky[4], 0.35);
    p.disk(sun, h * 0.075, mix(sky[4], [1.0; 3], 0.6), 0.95);
    p.shade_soft(|c, x, y| {
        let cloud = fractal(x / w * 3.0, y / h * 16.0, 4, variant + 90);
        let band = smooth(0.52, 0.75, cloud) * smooth(0.62, 0.2, y / h);
        mix(c, sky[3], band * 0.45)
    });
    let dark = hex(depths[v]);
    for layer in 0..6_u32 {
        let t = layer as f32 / 5.0;
        let base = h * (0.48 + 0.085 * layer as f32);
        let rough = h * (0.19 - 0.018 * layer as f32);
        let seed = variant * 31 + layer * 7;
        let frequency = 2.2 + t * 1.6;
        let color = mix(mix(sky[3], sky[1], 0.55), dark, t.powf(0.75));
        let mist = mix(sky[4], color, 0.35 + t * 0.5);
        p.below(
            |x| {
                let ridge = 1.0
                    - (fractal(x / w * frequency + t * 9.0, t * 5.0, 6, seed) * 2.0 - 1.0).abs();
                base - (ridge - 0.6) * rough
            },
            |_, depth| mix(color, mist, smooth(0.0, h * 0.2, depth) * (1.0 - t) * 0.8),
        );
    }
    p.finish_photo(variant);
}

/// Lit windows, and their light in the sky.
pub fn city(p: &mut Painter, variant: u32) {
    let mut random = Random::new(u64::from(variant) + 40);
    let skies: [[u32; 4]; 3] = [
        [0x070b1f, 0x14204a, 0x3b2f6b, 0xa8566b],
        [0x050a14, 0x0c2236, 0x1a4a5c, 0x5e8f85],
        [0x120818, 0x2d1238, 0x6a2350, 0xe0784f],
    ];
    let sky = colors(skies[(variant % 3) as usize]);
    p.sky(&sky);
    let (w, h) = (p.w, p.h);
    stars(p, &mut random, 120, h * 0.5);
    let moon = (w * 0.78, h * 0.17);
    p.glow(moon, h * 0.25, hex(0xfff2cf), 0.3);
    p.disk(moon, h * 0.045, hex(0xfff6df), 1.0);
    let street = h * 0.97;
    for layer in 0..3_u32 {
        let t = layer as f32 / 2.0;
        let front = mix(mix(sky[2], sky[3], 0.4), hex(0x05060f), 0.35 + t * 0.6);
        let mut x = -random.range(0.0, 20.0);
        while x < w {
            let width = random.range(26.0, 58.0) * (0.7 + t * 0.5);
            let middle = 1.0 - ((x / w - 0.45) * 1.7).powi(2).min(0.8);
            let tall = h * random.range(0.18, 0.56) * (1.08 - t * 0.34) * (0.45 + 0.55 * middle);
            let top = street - tall;
            p.rect(x, top, width, h - top, front, 1.0);
            match random.below(4) {
                0 => p.line(
                    (x + width / 2.0, top - tall * 0.14),
                    (x + width / 2.0, top),
                    1.4,
                    front,
                    1.0,
                ),
                1 => p.rect(x + width * 0.2, top - 7.0, width * 0.6, 8.0, front, 1.0),
                2 => p.polygon(
                    &[(x, top), (x + width, top), (x + width, top - width * 0.35)],
                    front,
                    1.0,
                ),
                _ => {}
            }
            let (step_x, step_y) = (5.0 + t * 2.5, 7.0 + t * 3.0);
            let warm = random.range(0.25, 0.6);
            let mut y = top + 5.0;
            while y < street - 4.0 {
                let mut wx = x + 4.0;
                while wx + step_x * 0.5 < x + width - 2.0 {
                    if random.unit() < warm * (0.45 + t * 0.5) {
                        let light =
                            random.pick(&[0xffd27a, 0xffb65c, 0xffe9b8, 0xa9d5ff, 0xff9a62]);
                        let strength = random.range(0.35, 0.95) * (0.5 + t * 0.5);
                        p.rect(wx, y, step_x * 0.55, step_y * 0.55, hex(light), strength);
                    }
                    wx += step_x;
                }
                y += step_y;
            }
            x += width + random.range(-3.0, 9.0);
        }
        p.shade_soft(|c, _, y| {
            let haze = smooth(h * 0.45, h, y) * (1.0 - t) * 0.32;
            mix(c, sky[3], haze)
        });
    }
    for _ in 0..26 {
        let at = (random.range(0.0, w), h * random.range(0.955, 0.995));
        let light = random.pick(&[0xffd48a, 0xff5a4a, 0xfff1d6]);
        p.glow(at, random.range(5.0, 14.0), hex(light), 0.9);
    }
    p.finish_photo(variant + 5);
}

/// A moon or sun over water, with its path of light.
pub fn sea(p: &mut Painter, variant: u32) {
    let skies: [[u32; 4]; 3] = [
        [0x060d25, 0x123063, 0x3d6fa3, 0x9cc4d8],
        [0x3b1d55, 0x9a3f6f, 0xf08a5d, 0xffd38a],
        [0x04191f, 0x0b4650, 0x2c8c8a, 0xbfe3cf],
    ];
    let v = (variant % 3) as usize;
    let sky = colors(skies[v]);
    let (w, h) = (p.w, p.h);
    let horizon = h * 0.58;
    let mut random = Random::new(u64::from(variant) + 70);
    p.shade_soft(|_, _, y| ramp(&sky, y / horizon));
    if v != 1 {
        stars(p, &mut random, 170, horizon * 0.8);
    }
    let moon = (w * random.range(0.35, 0.65), horizon - h * 0.2);
    let light = mix(sky[3], [1.0, 0.98, 0.9], 0.6);
    p.glow(moon, h * 0.5, sky[3], 0.35);
    p.disk(moon, h * 0.085, light, 1.0);
    if v != 1 {
        for (dx, dy, r) in [(-0.3, -0.2, 0.22), (0.25, 0.1, 0.3), (-0.1, 0.4, 0.16)] {
            let r0 = h * 0.085;
            p.disk(
                (moon.0 + dx * r0, moon.1 + dy * r0),
                r * r0,
                scale(light, 0.9),
                0.5,
            );
        }
    }
    p.shade_soft(|c, x, y| {
        if y > horizon {
            return c;
        }
        let cloud = fractal(x / w * 4.0 + 3.0, y / h * 18.0, 4, variant + 8);
        mix(c, sky[3], smooth(0.55, 0.8, cloud) * 0.4 * (y / horizon))
    });
    p.shade(|c, x, y| {
        if y < horizon {
            return c;
        }
        let depth = (y - horizon) / (h - horizon);
        let near = 0.04 + depth;
        let wave = fractal(
            (x - moon.0) / w * 7.0 / near,
            depth.sqrt() * 46.0,
            3,
            variant + 2,
        );
        let mut water = ramp(
            &[mix(sky[3], sky[1], 0.55), sky[1], scale(sky[0], 0.8)],
            depth.sqrt(),
        );
        let off = (x - moon.0).abs() / (w * (0.035 + depth * 0.12));
        let glitter = smooth(0.47, 0.66, wave) * (-off * off * 0.8).exp();
        water = mix(water, sky[2], smooth(0.55, 0.75, wave) * 0.3);
        mix(water, light, glitter)
    });
    let sail = (
        w * if moon.0 < w / 2.0 { 0.76 } else { 0.24 },
        horizon + h * 0.03,
    );
    let dark = scale(sky[0], 0.5);
    p.polygon(
        &[
            (sail.0 - 16.0, sail.1),
            (sail.0 + 18.0, sail.1),
            (sail.0 + 11.0, sail.1 + 6.0),
            (sail.0 - 11.0, sail.1 + 6.0),
        ],
        dark,
        1.0,
    );
    p.polygon(
        &[
            (sail.0, sail.1 - 40.0),
            (sail.0 + 1.0, sail.1 - 2.0),
            (sail.0 + 17.0, sail.1 - 3.0),
        ],
        dark,
        0.95,
    );
    p.polygon(
        &[
            (sail.0 - 2.0, sail.1 - 33.0),
            (sail.0 - 2.0, sail.1 - 3.0),
            (sail.0 - 13.0, sail.1 - 3.0),
        ],
        dark,
        0.85,
    );
    p.finish_photo(variant + 9);
}

/// Curtains of light over a dark lake shore.
pub fn aurora(p: &mut Painter, variant: u32) {
    let hues: [[u32; 3]; 3] = [
        [0x37ff9b, 0x23c4b0, 0x8a4bff],
        [0x7dffcf, 0x3aa0ff, 0xff5fb0],
        [0xb6ff6a, 0x2fe38c, 0x2a7bff],
    ];
    let hue = colors(hues[(variant % 3) as usize]);
    let (w, h) = (p.w, p.h);
    let mut random = Random::new(u64::from(variant) + 100);
    p.sky(&colors([0x02040f, 0x071530, 0x0d2a48, 0x123a52]));
    stars(p, &mut random, 260, h * 0.75);
    let shore = h * 0.74;
    for band in 0..3_u32 {
        let seed = variant * 17 + band;
        let offset = h * (0.24 + 0.12 * band as f32);
        p.shade_soft(|c, x, y| {
            let u = x / w;
            let bend = (noise(
                u * 2.5 + f32::from(u8::try_from(band).unwrap_or(0)),
                0.3,
                seed,
            ) - 0.5)
                * h
                * 0.34
                + (u * 5.0 + seed as f32).sin() * h * 0.03;
            let foot = offset + bend + h * 0.14;
            let up = (foot - y) / (h * 0.36);
            if up < -0.12 {
                return c;
            }
            let rays = 0.45 + 0.55 * fractal(u * 26.0, y / h * 0.9, 3, seed + 40);
            let body = smooth(-0.1, 0.04, up) * (-up.max(0.0) * 2.4).exp();
            let color = ramp(&hue, up * 1.1);
            let light = body * rays * (0.75 - 0.14 * band as f32);
            [0, 1, 2].map(|i: usize| c[i] + color[i] * light)
        });
    }
    let ridge = |x: f32| shore - (fractal(x / w * 5.0, 1.0, 5, variant + 3) - 0.35) * h * 0.18;
    p.below(ridge, |_, _| hex(0x040a14));
    let mut x = 0.0;
    while x < w {
        let tall = random.range(9.0, 30.0);
        let foot = ridge(x) + 5.0;
        p.polygon(
            &[
                (x, foot - tall),
                (x + tall * 0.2, foot),
                (x - tall * 0.2, foot),
            ],
            hex(0x03070f),
            1.0,
        );
        x += random.range(3.0, 9.0);
    }
    let water = h * 0.8;
    p.shade(|c, x, y| {
        if y < water {
            return c;
        }
        let depth = (y - water) / (h - water);
        let ripple = fractal(x / w * 30.0 / (0.3 + depth), depth * 34.0, 2, variant + 6);
        let glow = ramp(&[hue[0], hue[1]], depth);
        let shine = noise(x / w * 3.0, 0.2, variant * 17) * (1.0 - depth * 0.6);
        mix(
            hex(0x04101c),
            glow,
            smooth(0.35, 0.85, ripple) * 0.42 * shine,
        )
    });
    p.finish_photo(variant + 13);
}

/// A gas giant, its rings and its moons.
pub fn planet(p: &mut Painter, variant: u32) {
    let bodies: [[u32; 5]; 3] = [
        [0x3b1f2b, 0x9c4f3c, 0xe09f5a, 0xf6d9a0, 0xb3623f],
        [0x0e2a4d, 0x2f6fa8, 0x8cc7e0, 0xe4f3f4, 0x4a8ec2],
        [0x2a1648, 0x6b3fa0, 0xc77bd0, 0xf6c3d5, 0x8a55b8],
    ];
    let body = colors(bodies[(variant % 3) as usize]);
    let (w, h) = (p.w, p.h);
    let mut random = Random::new(u64::from(variant) + 130);
    let clouds = Field::new(w, h, 3.0, |x, y| {
        fractal(x / w * 3.0, y / w * 3.0, 5, variant + 77)
    });
    p.shade_soft(|_, x, y| {
        let cloud = clouds.at(x, y);
        mix(
            hex(0x04040c),
            scale(body[1], 0.55),
            smooth(0.45, 0.9, cloud),
        )
    });
    stars(p, &mut random, 420, h * 3.0);
    let center = (w * 0.5, h * 0.52);
    let r = planet_radius(w, h);
    let tilt: f32 = -0.32;
    let (sin, cos) = tilt.sin_cos();
    let light = (-0.6_f32, -0.45_f32, 0.66_f32);
    p.glow(center, r * 2.4, body[2], 0.16);
    let rings = |front: bool| {
        move |c: Color, x: f32, y: f32| {
            let (dx, dy) = ((x - center.0) / r, (y - center.1) / r);
            let (a, b) = (dx * cos + dy * sin, (dy * cos - dx * sin) / 0.3);
            let distance = (a * a + b * b).sqrt();
            if !(1.3..2.25).contains(&distance) || (b > 0.0) != front {
                return c;
            }
            let t = (distance - 1.3) / 0.95;
            let grain = noise(distance * 34.0, 0.5, variant) * 0.6
                + noise(distance * 90.0, 0.1, variant + 1) * 0.4;
            let gap = smooth(0.012, 0.03, (t - 0.62).abs());
            let edge = smooth(0.0, 0.06, t) * smooth(1.0, 0.9, t);
            // The shadow of the planet falls on the far right of the rings.
            let shade = if !front && a > 0.1 && b.abs() < 1.1 {
                0.35
            } else {
                1.0
            };
            mix(
                c,
                scale(mix(body[1], body[3], grain), shade),
                edge * gap * (0.35 + grain * 0.55),
            )
        }
    };
    p.shade(rings(false));
    p.shade(|c, x, y| {
        let (dx, dy) = ((x - center.0) / r, (y - center.1) / r);
        let d2 = dx * dx + dy * dy;
        if d2 > 1.0 {
            return c;
        }
        let dz = (1.0 - d2).sqrt();
        let (a, b) = (dx * cos + dy * sin, dy * cos - dx * sin);
        let swirl = (fractal(a * 3.0 + 5.0, b * 5.0, 4, variant + 3) - 0.5) * 0.3;
        let band = fractal(0.5, (b + swirl * 0.35) * 5.5 + 20.0, 3, variant + 21);
        let color = ramp(&body, smooth(0.2, 0.8, band));
        let lit = (dx * light.0 + dy * light.1 + dz * light.2).max(0.0);
        let rim = (1.0 - dz).powi(3) * 0.35 * lit;
        let shaded = scale(color, 0.04 + lit * 1.1);
        mix(shaded, body[3], rim)
    });
    p.shade(rings(true));
    for (x, y, size) in [(0.15, 0.22, 0.05), (0.86, 0.8, 0.032)] {
        let moon = (w * x, h * y);
        let radius = w.min(h) * size;
        p.shade(|c, px, py| {
            let (dx, dy) = ((px - moon.0) / radius, (py - moon.1) / radius);
            let d2 = dx * dx + dy * dy;
            if d2 > 1.0 {
                return c;
            }
            let lit = (dx * light.0 + dy * light.1 + (1.0 - d2).sqrt() * light.2).max(0.0);
            let spots = fractal(dx * 3.0 + 9.0, dy * 3.0, 3, variant + 50);
            scale(mix(hex(0x8d8a92), hex(0xe6e0d8), spots), 0.05 + lit)
        });
    }
    p.finish_photo(variant + 17);
}

/// Small enough for the rings to stay on the canvas.
pub fn planet_radius(w: f32, h: f32) -> f32 {
    (h * 0.27).min(w * 0.205)
}

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
