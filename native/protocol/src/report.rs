//! Round trips that the client measured, told to the worker beside later requests.

/// Bytes of one report.
pub const REPORT_LEN: usize = 32;

/// One finished call, as its caller measured it.
///
/// # Examples
/// ```
/// use pycrust_protocol::report::{REPORT_LEN, Report};
///
/// let report = Report { id: 65_536, round_trip_ns: 20_000, version: 1, ..Report::default() };
/// let mut bytes = Vec::new();
/// report.put(&mut bytes);
/// assert_eq!(bytes.len(), REPORT_LEN);
/// assert_eq!(Report::read_all(&bytes).collect::<Vec<_>>(), [report]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// The call's id.
    pub id: u64,
    /// From before encoding the request to the answer's reaching the caller, in nanoseconds.
    pub round_trip_ns: u64,
    /// From the worker's publishing the answer to its reaching the caller, in nanoseconds.
    pub return_ns: u32,
    /// The worker's number for the method, as the answer's header gave it.
    pub method_key: u32,
    /// The version that answered.
    pub version: u32,
    /// The status that the caller saw. Not checked here: whoever counts it ignores what is no code.
    pub status: u8,
}

impl Report {
    /// Appends the report's bytes.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.round_trip_ns.to_le_bytes());
        out.extend_from_slice(&self.return_ns.to_le_bytes());
        out.extend_from_slice(&self.method_key.to_le_bytes());
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&[self.status, 0, 0, 0]);
    }

    /// Reads the reports in `bytes`; a trailing piece of one is ignored.
    pub fn read_all(bytes: &[u8]) -> impl Iterator<Item = Self> + '_ {
        let (reports, _) = bytes.as_chunks::<REPORT_LEN>();
        reports.iter().map(|raw| {
            let u32_at = |at: usize| u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
            let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
            Self {
                id: u64_at(0),
                round_trip_ns: u64_at(8),
                return_ns: u32_at(16),
                method_key: u32_at(20),
                version: u32_at(24),
                status: raw[28],
            }
        })
    }
}
