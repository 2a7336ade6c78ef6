//! Numbers with units as they are written in the files. No floating point: `1.1G` has one value.

use flocker_model::{ByteCount, CpuMillis, Port};

/// Why a quantity is refused, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The end of a sentence that starts with the quantity's name.
    pub(crate) problem: String,
    pub(crate) hint: Option<String>,
}

impl Refusal {
    pub(crate) fn new(problem: &str, hint: impl Into<String>) -> Self {
        Self {
            problem: problem.to_owned(),
            hint: Some(hint.into()),
        }
    }
}

/// Reads a number of bytes: digits, perhaps a fraction, perhaps a binary unit.
///
/// `K`, `M`, `G` and `T` are powers of 1024, in either case, and may be followed by `i`, `B` or
/// `iB`: Docker and ZFS both read them so. A fraction of a byte is rounded up.
///
/// # Errors
/// Refuses what is no such number, nothing at all, and more than 2⁶³-1 bytes.
pub(crate) fn parse_bytes(text: &str) -> Result<ByteCount, Refusal> {
    let malformed = || Refusal::new("is not a size", "write a size like `512M`, `1.5G` or `10G`");
    let number_length = text
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
        .count();
    let (number, unit) = text.split_at(number_length);
    let unit = unit.trim_start().to_ascii_lowercase();
    let (letter, suffix) = unit.split_at(unit.chars().next().map_or(0, char::len_utf8));
    let shift = match letter {
        "" | "b" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(malformed()),
    };
    if !matches!(suffix, "" | "b" | "i" | "ib") || (shift == 0 && !suffix.is_empty()) {
        return Err(malformed());
    }
    let decimal = Decimal::parse(number).ok_or_else(malformed)?;
    let too_large = || Refusal::new("is too large", "write a size like `512M`, `1.5G` or `10G`");
    let scaled = decimal
        .digits
        .checked_mul(1 << shift)
        .ok_or_else(too_large)?;
    let bytes = scaled.div_ceil(decimal.divisor());
    match u64::try_from(bytes) {
        Ok(0) => Err(Refusal::new(
            "must be more than nothing",
            "leave it out for no limit",
        )),
        Ok(bytes) if i64::try_from(bytes).is_ok() => Ok(ByteCount::new(bytes)),
        _ => Err(too_large()),
    }
}

/// Reads a number of processors, with thousandths.
///
/// # Errors
/// Refuses what is no such number, less than 0.01 (Docker's own lower limit) and more than 256: people
/// who write more mean Docker's weight of processors, which is 1024 where nothing is said.
pub(crate) fn parse_cpu(text: &str) -> Result<CpuMillis, Refusal> {
    const EXAMPLE: &str = "write a number of processors like `0.5` or `2`";
    if let Some(millis) = text
        .strip_suffix('m')
        .and_then(|millis| millis.parse().ok())
    {
        let cpu = CpuMillis::new(millis);
        let decimal = format!("{}.{:03}", cpu.get() / 1000, cpu.get() % 1000);
        let hint = format!(
            "write `{}`",
            decimal.trim_end_matches('0').trim_end_matches('.')
        );
        return Err(Refusal::new("is not a number of processors", hint));
    }
    let decimal = Decimal::parse(text)
        .ok_or_else(|| Refusal::new("is not a number of processors", EXAMPLE))?;
    let too_many = || {
        let hint = "write how many processors it may use, such as `2`; a weight against other \
                    containers is `cpu_shares`";
        Refusal::new("is more than 256 processors", hint)
    };
    let scaled = decimal.digits.checked_mul(1000).ok_or_else(too_many)?;
    if scaled % decimal.divisor() != 0 {
        let hint = "write three decimal places at most";
        return Err(Refusal::new("is finer than a thousandth", hint));
    }
    match u32::try_from(scaled / decimal.divisor()) {
        Ok(millis) if millis < 10 => Err(Refusal::new("is less than 0.01 processors", EXAMPLE)),
        Ok(millis) if millis <= 256_000 => Ok(CpuMillis::new(millis)),
        _ => Err(too_many()),
    }
}

/// Reads a port in plain decimal digits.
///
/// # Errors
/// Refuses other notations (`0x50`, `080`, `8e1`: YAML's versions disagree on what they are) and
/// numbers outside 1 to 65535.
pub(crate) fn parse_port(text: &str) -> Result<Port, Refusal> {
    let unsigned = text.trim_start_matches(['+', '-']);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::new(
            "is not a whole number",
            "write a port like `443`",
        ));
    }
    let number = text.parse::<u16>().ok().and_then(Port::new);
    match number {
        None => Err(Refusal::new("is out of range", "ports are 1 to 65535")),
        Some(port) if port.to_string() == text => Ok(port),
        Some(port) => Err(Refusal::new(
            "can be read in more than one way",
            format!("write `{port}`"),
        )),
    }
}

/// A non-negative decimal fraction: `digits` ÷ 10^`places`.
/// A number with a fraction that is exact.
pub(crate) struct Decimal {
    digits: u128,
    places: u32,
}

impl Decimal {
    /// Reads at most 18 digits, with at most one point between or after them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{fraction}");
        let sound = !whole.is_empty()
            && digits.len() <= 18
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self {
            digits: digits.parse().ok().filter(|_| sound)?,
            places: u32::try_from(fraction.len()).ok()?,
        })
    }

    /// Multiplies by a factor; `None` if the product has a fraction.
    pub(crate) fn times(&self, factor: u32) -> Option<u128> {
        let product = self.digits.checked_mul(factor.into())?;
        (product % self.divisor() == 0).then(|| product / self.divisor())
    }

    const fn divisor(&self) -> u128 {
        10_u128.pow(self.places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_and_rounded_up() {
        let bytes = |text: &str| parse_bytes(text).map(ByteCount::get).ok();
        assert_eq!(bytes("1073741824"), Some(1 << 30));
        assert_eq!(bytes("512M"), Some(512 << 20));
        assert_eq!(bytes("1.5G"), Some(3 << 29));
        assert_eq!(bytes("10 GiB"), Some(10 << 30));
        assert_eq!(bytes("4kB"), Some(4096));
        assert_eq!(bytes("2Ti"), Some(2 << 40));
        assert_eq!(bytes("0.1K"), Some(103));
        assert_eq!(bytes("7b"), Some(7));
        for text in [
            "",
            "G",
            "-1G",
            "1.2.3G",
            "10X",
            "10Gbit",
            "1e3",
            "0",
            "0.0M",
            "9999999999T",
            "1bb",
            "1234567890123456789",
            "0x10",
            "1,5G",
            ".5G",
            "10Ｇ",
        ] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn processors_have_thousandths() {
        let millis = |text: &str| parse_cpu(text).map(CpuMillis::get).ok();
        assert_eq!(millis("2"), Some(2000));
        assert_eq!(millis("0.5"), Some(500));
        assert_eq!(millis("1.250"), Some(1250));
        assert_eq!(millis("0.01"), Some(10));
        for text in [
            "", "0", "0.001", "0.0005", "-1", "257", "512", "1e1", "500m", ".", "two",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
        assert_eq!(
            parse_cpu("500m").unwrap_err().hint.as_deref(),
            Some("write `0.5`")
        );
    }

    #[test]
    fn ports_are_plain_decimal() {
        let port = |text: &str| parse_port(text).map(Port::get).ok();
        assert_eq!(port("443"), Some(443));
        assert_eq!(port("65535"), Some(65535));
        for text in [
            "0", "65536", "-1", "+80", "080", "0x50", "80.0", "8e1", "", "http",
        ] {
            assert_eq!(port(text), None, "{text}");
        }
    }
}
