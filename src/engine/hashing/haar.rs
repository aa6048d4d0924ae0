//! The wavelet hash.

/// The sides of the picture that comes in and of the band that is kept.
const SIDE: usize = 64;
const BAND: usize = 8;

/// Three levels of a Haar transform take 64 x 64 gray values to a low band of
/// 8 x 8; a bit is set where the band is above its median.
///
/// The low band of a Haar transform is the sum over blocks, up to a factor that
/// comparing with the median cancels; so is taking the overall mean away, which
/// other programs do first.
pub fn whash(gray: &[u8]) -> [u8; 8] {
    let mut band = [0_u32; BAND * BAND];
    for (i, value) in gray.iter().take(SIDE * SIDE).enumerate() {
        let (x, y) = (i % SIDE, i / SIDE);
        band[y * BAND / SIDE * BAND + x * BAND / SIDE] += u32::from(*value);
    }
    let mut sorted = band;
    sorted.sort_unstable();
    let median = sorted[BAND * BAND / 2 - 1].midpoint(sorted[BAND * BAND / 2]);
    let mut bytes = [0; 8];
    for (i, value) in band.iter().enumerate() {
        bytes[i / 8] |= u8::from(*value > median) << (7 - i % 8);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bright_blocks_are_ones() {
        let gray: Vec<u8> = (0..SIDE * SIDE)
            .map(|i| if i % SIDE >= 32 { 200 } else { 50 })
            .collect();
        assert_eq!(whash(&gray), [0x0f; 8]);
        assert_eq!(whash(&[7; SIDE * SIDE]), [0; 8]);
        assert_eq!(whash(&[]), [0; 8]);
    }
}
