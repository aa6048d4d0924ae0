//! Pixels before any protocol: fitting, cropping, scaling, masks, and the ground a
//! transparent picture is laid on. Pure functions.

use fast_image_resize as fir;
use image::RgbaImage;

use crate::{model::media::Pixels, tui::probe::Graphics};

/// The share of a picture that is shown, in 1/65536 of its width and height: left,
/// top, right, bottom.
pub type Crop = [u32; 4];

/// All of a picture.
pub const WHOLE: Crop = [0, 0, CROP_UNIT, CROP_UNIT];
pub const CROP_UNIT: u32 = 65_536;

/// Pictures of at most this many pixels a side are drawn with square pixels.
pub const TINY: u32 = 64;

/// A rectangle to draw over a picture: left, top, right and bottom in shares of the
/// whole, as in a [`Crop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outline {
    pub area: Crop,
    pub color: [u8; 3],
}

/// Where in its area a picture stands, if it is smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Align {
    Center,
    /// In the middle of the bottom edge, above its caption.
    Bottom,
}

/// What a picture with transparent pixels is laid on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// The terminal blends it.
    None,
    /// Half transparent pixels are mixed with this, clear ones stay clear.
    WithHoles((u8, u8, u8)),
    Solid((u8, u8, u8)),
}

/// The largest size within `area` that keeps the shape. Pictures are not enlarged,
/// except tiny ones by a whole factor; half-blocks are too coarse for such care.
pub fn fit(natural: (u32, u32), area: (u32, u32), graphics: Graphics) -> (u32, u32) {
    let (width, height) = (u64::from(natural.0), u64::from(natural.1));
    let (area_width, area_height) = (u64::from(area.0), u64::from(area.1));
    if width == 0 || height == 0 {
        return area;
    }
    let fits = width <= area_width && height <= area_height;
    let (width, height) = if fits && graphics != Graphics::Halfblocks {
        let room = (area_width / width).min(area_height / height);
        let factor = if width.max(height) <= u64::from(TINY) {
            room.clamp(1, 4)
        } else {
            1
        };
        (width * factor, height * factor)
    } else if width * area_height > height * area_width {
        (area_width, (height * area_width / width).max(1))
    } else {
        ((width * area_height / height).max(1), area_height)
    };
    let side = |px: u64| u32::try_from(px).unwrap_or(u32::MAX);
    (side(width), side(height))
}

/// A part of a picture at another size; `None` when the pixels are not what they
/// say they are.
pub fn scale(pixels: &Pixels, crop: Crop, (width, height): (u32, u32)) -> Option<RgbaImage> {
    let source = fir::images::ImageRef::new(
        pixels.width,
        pixels.height,
        &pixels.rgba,
        fir::PixelType::U8x4,
    )
    .ok()?;
    let mut scaled = fir::images::Image::new(width.max(1), height.max(1), fir::PixelType::U8x4);
    let side = |part: u32, side: u32| f64::from(part) * f64::from(side) / f64::from(CROP_UNIT);
    let (left, top) = (side(crop[0], pixels.width), side(crop[1], pixels.height));
    let (right, bottom) = (side(crop[2], pixels.width), side(crop[3], pixels.height));
    let (part_width, part_height) = ((right - left).max(1.0), (bottom - top).max(1.0));
    let grows =
        f64::from(width) >= 2.0 * part_width && part_width.max(part_height) <= f64::from(TINY);
    // Never the nearest pixel of a large picture: that is visible.
    let algorithm = if grows {
        fir::ResizeAlg::Nearest
    } else {
        fir::ResizeAlg::Convolution(fir::FilterType::CatmullRom)
    };
    let options = fir::ResizeOptions::new().resize_alg(algorithm).crop(
        left.min(f64::from(pixels.width) - part_width).max(0.0),
        top.min(f64::from(pixels.height) - part_height).max(0.0),
        part_width,
        part_height,
    );
    fir::Resizer::new()
        .resize(&source, &mut scaled, &options)
        .ok()?;
    RgbaImage::from_raw(width.max(1), height.max(1), scaled.into_vec())
}

/// Lays a mask of the same size over a picture: what it marks is tinted, so that
/// what is below stays visible.
pub fn lay_mask(picture: &mut RgbaImage, mask: &RgbaImage) {
    const TINT: [u8; 3] = [255, 48, 96];
    for (pixel, mask) in picture.pixels_mut().zip(mask.pixels()) {
        let [r, g, b, a] = mask.0.map(u32::from);
        // Of 255 * 255; a little more than half of it at most.
        let share = (r * 299 + g * 587 + b * 114) / 1000 * a * 11 / 20;
        for (channel, tint) in pixel.0.iter_mut().zip(TINT) {
            let sum = u32::from(tint) * share + u32::from(*channel) * (255 * 255 - share);
            *channel = u8::try_from(sum / (255 * 255)).unwrap_or(255);
        }
        let opaque = u8::try_from(share / 255).unwrap_or(255);
        pixel.0[3] = pixel.0[3].max(opaque);
    }
}

/// Draws a rectangle of the whole picture over a part of it, beside a dark line, so
/// that it is seen on every ground.
pub fn outline(picture: &mut RgbaImage, crop: Crop, rectangle: &Outline) {
    let (width, height) = picture.dimensions();
    let line = (width.min(height) / 200).clamp(1, 3);
    let place = |share: u32, from: u32, to: u32, side: u32| {
        let (share, from, to) = (i64::from(share), i64::from(from), i64::from(to));
        (share - from) * i64::from(side) / (to - from).max(1)
    };
    let [left, top, right, bottom] = rectangle.area;
    let columns = [left, right].map(|share| place(share, crop[0], crop[2], width));
    let rows = [top, bottom].map(|share| place(share, crop[1], crop[3], height));
    for (inset, thickness, [r, g, b]) in [(-1, line + 2, [0; 3]), (0, line, rectangle.color)] {
        let ink = image::Rgba([r, g, b, 255]);
        let [left, right] = [columns[0] + inset, columns[1] - inset];
        let [top, bottom] = [rows[0] + inset, rows[1] - inset];
        let thickness = i64::from(thickness);
        for [left, top, right, bottom] in [
            [left, top, right, top + thickness],
            [left, bottom - thickness, right, bottom],
            [left, top, left + thickness, bottom],
            [right - thickness, top, right, bottom],
        ] {
            let within =
                |at: i64, side: u32| u32::try_from(at.clamp(0, i64::from(side))).unwrap_or(0);
            for y in within(top, height)..within(bottom, height) {
                for x in within(left, width)..within(right, width) {
                    picture.put_pixel(x, y, ink);
                }
            }
        }
    }
}

/// Lays the picture on a canvas of whole cells, and on a backing of its own first.
pub fn pad(
    picture: &RgbaImage,
    (width, height): (u32, u32),
    align: Align,
    ground: Ground,
    backing: Option<(u8, u8, u8)>,
) -> RgbaImage {
    let laid = |pixel: [u8; 4]| match ground {
        Ground::None => pixel,
        Ground::WithHoles(_) if pixel[3] < 16 => [0; 4],
        Ground::WithHoles(ground) | Ground::Solid(ground) => solid(pixel, ground),
    };
    let mut canvas = RgbaImage::from_pixel(width, height, image::Rgba(laid([0; 4])));
    let left = (width - picture.width().min(width)) / 2;
    let down = height - picture.height().min(height);
    let top = match align {
        Align::Center => down / 2,
        Align::Bottom => down,
    };
    for (x, y, pixel) in picture.enumerate_pixels() {
        if let Some(target) = canvas.get_pixel_mut_checked(left + x, top + y) {
            target.0 = match backing {
                Some(backing) => solid(pixel.0, backing),
                None => laid(pixel.0),
            };
        }
    }
    canvas
}

fn solid(pixel: [u8; 4], ground: (u8, u8, u8)) -> [u8; 4] {
    let (r, g, b) = over(pixel, ground);
    [r, g, b, 255]
}

/// A ground for a transparent picture that could not be told from the screen's
/// own: black ink on a dark theme, white ink on a light one.
pub fn backing(pixels: &Pixels, ground: (u8, u8, u8)) -> Option<(u8, u8, u8)> {
    const LIGHT: (u8, u8, u8) = (200, 202, 206);
    const DARK: (u8, u8, u8) = (56, 60, 68);
    let luminance = |(r, g, b): (u8, u8, u8)| {
        (u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114) / 1000
    };
    let steps = 16;
    let samples = (0..steps * steps).map(|i| {
        let at = |i: u32, side: u32| (2 * i + 1) * side / (2 * steps);
        pixel(
            pixels,
            at(i % steps, pixels.width),
            at(i / steps, pixels.height),
        )
    });
    let clear = samples.filter(|pixel| pixel[3] < 128).count();
    let is_alike = luminance(mean(pixels)).abs_diff(luminance(ground)) < 32;
    (clear > 12 && is_alike).then_some(if luminance(ground) < 128 { LIGHT } else { DARK })
}

/// One pixel; clear where there is none.
pub fn pixel(pixels: &Pixels, x: u32, y: u32) -> [u8; 4] {
    let at = (y as usize * pixels.width as usize + x as usize) * 4;
    match pixels.rgba.get(at..at + 4) {
        Some(&[red, green, blue, alpha]) => [red, green, blue, alpha],
        _ => [0; 4],
    }
}

/// A pixel laid on a ground.
pub fn over([r, g, b, a]: [u8; 4], ground: (u8, u8, u8)) -> (u8, u8, u8) {
    let mix = |top: u8, ground: u8| {
        let sum = u32::from(top) * u32::from(a) + u32::from(ground) * (255 - u32::from(a));
        u8::try_from(sum / 255).unwrap_or(255)
    };
    (mix(r, ground.0), mix(g, ground.1), mix(b, ground.2))
}

/// The mean color, from a few pixels.
pub fn mean(pixels: &Pixels) -> (u8, u8, u8) {
    const STEPS: u32 = 16;
    let mut sums = [0u32; 4];
    for y in 0..STEPS {
        for x in 0..STEPS {
            let at = |i: u32, side: u32| (2 * i + 1) * side / (2 * STEPS);
            let [r, g, b, a] = pixel(pixels, at(x, pixels.width), at(y, pixels.height));
            let alpha = u32::from(a);
            for (sum, channel) in sums.iter_mut().zip([r, g, b]) {
                *sum += u32::from(channel) * alpha;
            }
            sums[3] += alpha;
        }
    }
    let share = |sum: u32| u8::try_from(sum / sums[3].max(1)).unwrap_or(255);
    (share(sums[0]), share(sums[1]), share(sums[2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_keep_their_shape() {
        for (natural, area, expected) in [
            ((400, 200), (100, 100), (100, 50)),
            ((200, 400), (100, 100), (50, 100)),
            ((100, 50), (400, 400), (100, 50)),
            ((16, 16), (400, 400), (64, 64)),
            ((64, 1), (400, 400), (256, 4)),
            ((65_535, 1), (100, 100), (100, 1)),
            ((0, 0), (100, 50), (100, 50)),
        ] {
            assert_eq!(fit(natural, area, Graphics::Kitty), expected, "{natural:?}");
        }
        assert_eq!(fit((10, 10), (100, 50), Graphics::Halfblocks), (50, 50));
    }

    #[test]
    fn ink_like_the_background_gets_a_ground_of_its_own() {
        let dark = (20, 22, 26);
        let mut line_art = vec![0; 64 * 64 * 4];
        for pixel in line_art.chunks_exact_mut(4).step_by(5) {
            pixel.copy_from_slice(&[0, 0, 0, 255]);
        }
        let line_art = Pixels {
            width: 64,
            height: 64,
            rgba: line_art,
        };
        assert!(backing(&line_art, dark).is_some_and(|(r, ..)| r > 128));
        assert_eq!(backing(&line_art, (250, 250, 250)), None);
        let black = Pixels {
            width: 64,
            height: 64,
            rgba: [0, 0, 0, 255].repeat(64 * 64),
        };
        assert_eq!(backing(&black, dark), None);
    }

    #[test]
    fn a_mask_tints_what_it_marks_and_nothing_else() {
        let mut picture = RgbaImage::from_pixel(2, 1, image::Rgba([100, 100, 100, 255]));
        let mut mask = RgbaImage::from_pixel(2, 1, image::Rgba([0, 0, 0, 255]));
        mask.put_pixel(1, 0, image::Rgba([255, 255, 255, 255]));
        lay_mask(&mut picture, &mask);
        assert_eq!(picture.get_pixel(0, 0).0, [100, 100, 100, 255]);
        let [r, g, b, a] = picture.get_pixel(1, 0).0;
        assert!(r > 150 && g < 80 && b < 110 && a == 255, "{r} {g} {b} {a}");
    }

    #[test]
    fn a_rectangle_is_drawn_where_it_is_in_the_part_that_is_seen() {
        let unit = CROP_UNIT;
        let rectangle = Outline {
            area: [unit / 4, unit / 4, unit / 2, unit / 2],
            color: [250, 0, 0],
        };
        let red = |crop| {
            let mut picture = RgbaImage::from_pixel(80, 80, image::Rgba([90; 4]));
            outline(&mut picture, crop, &rectangle);
            let is_red = |pixel: &image::Rgba<u8>| pixel.0 == [250, 0, 0, 255];
            let mut red = picture
                .enumerate_pixels()
                .filter(|(_, _, pixel)| is_red(pixel));
            let first = red.next().map(|(x, y, _)| (x, y));
            (first, red.last().map(|(x, y, _)| (x, y)))
        };
        assert_eq!(red(WHOLE), (Some((20, 20)), Some((39, 39))));
        // Twice as large from the middle of the rectangle on: two of its edges.
        let lower = [unit * 3 / 8, unit * 3 / 8, unit * 7 / 8, unit * 7 / 8];
        assert_eq!(red(lower), (Some((19, 0)), Some((19, 19))));
        assert_eq!(red([unit / 2 + 999, 0, unit, unit]), (None, None));
    }

    #[test]
    fn pixels_that_are_not_there_are_no_picture() {
        let broken = Pixels {
            width: 100,
            height: 100,
            rgba: vec![1; 10],
        };
        assert!(scale(&broken, WHOLE, (10, 10)).is_none());
    }
}
