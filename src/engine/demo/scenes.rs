//! Far away: mountains, cities, seas, skies.

#![expect(
    clippy::cast_precision_loss,
    clippy::many_single_char_names,
    clippy::unreadable_literal,
    reason = "pixel arithmetic: all values are small, coordinates have one letter; \
              colors are written as everywhere"
)]

use super::painter::{
    Color, Field, Painter, Random, fractal, hex, mix, noise, ramp, scale, smooth,
};

pub(super) fn colors<const N: usize>(values: [u32; N]) -> [Color; N] {
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
