//! Sines, ground scales and roots as integers, the same on every machine.
//!
//! The tables are computed by the compiler, whose floating point is exact IEEE 754 software arithmetic; at run time there are
//! only integers.

use core::f64::consts::PI;

/// Fraction bits of a sine: 1.0 is `1 << 30`.
pub const SINE_BITS: u32 = 30;
/// Fraction bits of a ground scale: 1 cm for each 1e-7 degree is `1 << 28`.
pub const SCALE_BITS: u32 = 28;

/// Steps of the quarter wave. Linear interpolation between them is good to 3e-7.
const SINE_STEPS: usize = 1024;
/// Steps of latitude from the equator to a pole. Linear interpolation between them is good to 5e-6 of the scale.
const SCALE_STEPS: usize = 256;
const QUARTER_E7: u64 = 900_000_000;

static SINES: [i32; SINE_STEPS + 1] = sines();
static SCALES: [Scale; SCALE_STEPS + 1] = scales();

/// Centimetres on the ground for each 1e-7 degree at one latitude, with [`SCALE_BITS`] fraction bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    pub lat: u32,
    pub lon: u32,
}

/// The ground scale of WGS 84 at a latitude; latitudes beyond a pole are read as the pole.
///
/// # Source
/// The usual series of the meridian and parallel arcs of an ellipsoid in multiples of the latitude, good to 1e-8.
pub fn scale(lat_e7: i32) -> Scale {
    let steps = u64::from(lat_e7.unsigned_abs()).min(QUARTER_E7) * SCALE_STEPS as u64;
    let (step, part) = ((steps / QUARTER_E7) as usize, (steps % QUARTER_E7) as i64);
    let low = SCALES.get(step).copied().unwrap_or(Scale { lat: 0, lon: 0 });
    let high = SCALES.get(step + 1).copied().unwrap_or(low);
    let between = |a: u32, b: u32| (i64::from(a) + (i64::from(b) - i64::from(a)) * part / QUARTER_E7 as i64) as u32;
    Scale { lat: between(low.lat, high.lat), lon: between(low.lon, high.lon) }
}

/// The sine of an angle as a [`SINE_BITS`] fraction; a full turn is `1 << 32`.
pub fn sin(turn: u32) -> i64 {
    let quadrant = turn >> 30;
    let inside = turn & 0x3fff_ffff;
    let rising = if quadrant & 1 == 0 { inside } else { (1 << 30) - inside };
    let (step, part) = ((rising >> 20) as usize, i64::from(rising & 0xf_ffff));
    let low = i64::from(SINES.get(step).copied().unwrap_or(1 << SINE_BITS));
    let high = i64::from(SINES.get(step + 1).copied().unwrap_or(1 << SINE_BITS));
    let value = low + (((high - low) * part) >> 20);
    if quadrant >= 2 { -value } else { value }
}

/// The cosine of an angle as a [`SINE_BITS`] fraction; a full turn is `1 << 32`.
pub fn cos(turn: u32) -> i64 {
    sin(turn.wrapping_add(1 << 30))
}

/// Thousandths of a degree as a part of a turn.
pub fn turn_from_mdeg(mdeg: u32) -> u32 {
    ((u64::from(mdeg % 360_000) << 32) / 360_000) as u32
}

/// The root of `square`, cut to an integer. The machine's own root is only where the search begins: the answer is an integer's.
pub fn isqrt(square: u64) -> u64 {
    let mut down = ((square as f64).sqrt() as u64).min(u64::from(u32::MAX));
    while down * down > square {
        down -= 1;
    }
    while down < u64::from(u32::MAX) && (down + 1) * (down + 1) <= square {
        down += 1;
    }
    down
}

/// The root of `square`, to the nearest integer.
pub fn root(square: u64) -> u64 {
    let down = isqrt(square);
    if square - down * down > down { down + 1 } else { down }
}

// --- tables, computed by the compiler ---

const fn sines() -> [i32; SINE_STEPS + 1] {
    let mut table = [0; SINE_STEPS + 1];
    let mut step = 0;
    while step <= SINE_STEPS {
        let value = series_cos(PI / 2.0 - step as f64 * PI / 2.0 / SINE_STEPS as f64);
        table[step] = (value * (1u32 << SINE_BITS) as f64 + 0.5) as i32;
        step += 1;
    }
    table
}

const fn scales() -> [Scale; SCALE_STEPS + 1] {
    let mut table = [Scale { lat: 0, lon: 0 }; SCALE_STEPS + 1];
    let mut step = 0;
    while step <= SCALE_STEPS {
        let lat = step as f64 * PI / 2.0 / SCALE_STEPS as f64;
        // Metres for one degree; 1e-7 degree in centimetres is 1e-5 of that.
        let meridian = 111_132.952_548 - 559.849_567 * series_cos(2.0 * lat) + 1.175_138 * series_cos(4.0 * lat);
        let parallel = 111_412.877_331 * series_cos(lat) - 93.504_117 * series_cos(3.0 * lat) + 0.117_744 * series_cos(5.0 * lat);
        let one = (1u32 << SCALE_BITS) as f64 * 1e-5;
        table[step] = Scale { lat: (meridian * one + 0.5) as u32, lon: if parallel > 0.0 { (parallel * one + 0.5) as u32 } else { 0 } };
        step += 1;
    }
    table
}

/// The cosine by its power series; good to the last digits for the few turns asked of it.
pub(super) const fn series_cos(angle: f64) -> f64 {
    let mut reduced = angle;
    while reduced > PI {
        reduced -= 2.0 * PI;
    }
    while reduced < -PI {
        reduced += 2.0 * PI;
    }
    let square = reduced * reduced;
    let (mut term, mut sum, mut n) = (1.0, 1.0, 1.0);
    while n < 40.0 {
        term = -term * square / (n * (n + 1.0));
        sum += term;
        n += 2.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sines_agree_with_floats_to_a_millionth() {
        for turn in (0..=u32::MAX).step_by(65_537) {
            let angle = f64::from(turn) / 4_294_967_296.0 * 2.0 * PI;
            let (s, c) = (sin(turn) as f64 / 1_073_741_824.0, cos(turn) as f64 / 1_073_741_824.0);
            assert!((s - angle.sin()).abs() < 1e-6, "{turn}: {s} {}", angle.sin());
            assert!((c - angle.cos()).abs() < 1e-6, "{turn}: {c} {}", angle.cos());
        }
    }

    #[test]
    fn scales_agree_with_the_radii_of_the_ellipsoid() {
        let (a, e2) = (6_378_137.0_f64, 0.006_694_379_990_141_3_f64);
        for tenth in 0..900 {
            let lat = f64::from(tenth) / 10.0;
            let w = (1.0 - e2 * lat.to_radians().sin().powi(2)).sqrt();
            let (meridian, parallel) = (a * (1.0 - e2) / w.powi(3), a / w * lat.to_radians().cos());
            let got = scale(tenth * 1_000_000);
            let cm = |radius: f64| radius.to_radians() * 1e-5 * f64::from(1u32 << SCALE_BITS);
            assert!((f64::from(got.lat) / cm(meridian) - 1.0).abs() < 1e-5, "{lat}");
            assert!((f64::from(got.lon) - cm(parallel)).abs() < 2e-5 * cm(a), "{lat}");
        }
    }

    #[test]
    fn a_cut_root_is_the_one_the_integers_give() {
        let mut square = 1_u64;
        for step in 0..200_000_u64 {
            // Every size of number, and both sides of every kind of square.
            square = square.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step);
            let side = square >> 32;
            for square in [square, square >> (step % 64), side * side, (side * side).wrapping_sub(1), side * side + 2 * side] {
                assert_eq!(isqrt(square), square.isqrt(), "{square}");
            }
        }
        assert_eq!([0, 1, u64::MAX, u64::MAX - 1].map(isqrt), [0, 1, u64::from(u32::MAX), u64::from(u32::MAX)]);
    }

    #[test]
    fn roots_round_to_the_nearest() {
        for (square, want) in [(0, 0), (1, 1), (2, 1), (3, 2), (6, 2), (7, 3), (u64::MAX, 1 << 32)] {
            assert_eq!(root(square), want);
        }
    }
}
