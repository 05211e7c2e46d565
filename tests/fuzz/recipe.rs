//! The input of every target: a known-good message with a few things done to it, or bytes that are nothing at all.

use bolero::TypeGenerator;

/// Longest input that is made of a seed.
const LONGEST: usize = 64 * 1024;

/// How an input is made. An engine that looks at coverage finds its way through these as well as through plain bytes.
#[derive(Clone, Debug, Default, TypeGenerator)]
pub(crate) struct Recipe {
    seed: Option<u8>,
    edits: Vec<Edit>,
    tail: Vec<u8>,
    /// Where a stream is cut into reads.
    cuts: Vec<u16>,
}

#[derive(Clone, Debug, TypeGenerator)]
enum Edit {
    Set {
        at: u16,
        to: u8,
    },
    /// The values that lengths and counters stumble over.
    Number {
        at: u16,
        which: u8,
        wide: bool,
    },
    Insert {
        at: u16,
        bytes: Vec<u8>,
    },
    Remove {
        at: u16,
        count: u8,
    },
    Repeat {
        at: u16,
        count: u8,
        times: u8,
    },
    Cut {
        at: u16,
    },
    /// A piece of another seed.
    Splice {
        at: u16,
        seed: u8,
        from: u16,
        count: u8,
    },
}

impl Recipe {
    /// The input.
    pub(crate) fn bytes(&self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.seed.map(|seed| pick(seeds, seed).to_vec()).unwrap_or_default();
        for edit in &self.edits {
            edit.apply(&mut bytes, seeds);
            bytes.truncate(LONGEST);
        }
        bytes.extend_from_slice(&self.tail);
        bytes
    }

    /// The same as the reads of a stream.
    pub(crate) fn pieces<'b>(&self, bytes: &'b [u8]) -> Vec<&'b [u8]> {
        let mut places: Vec<usize> = self.cuts.iter().map(|cut| usize::from(*cut) % (bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).filter(|piece| !piece.is_empty()).collect()
    }
}

fn pick(seeds: &[Vec<u8>], which: u8) -> &[u8] {
    seeds.get(usize::from(which) % seeds.len().max(1)).map_or(&[], Vec::as_slice)
}

fn place(at: u16, length: usize) -> usize {
    usize::from(at) % (length + 1)
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let length = bytes.len();
        let piece = |at: u16, count: u8| {
            let from = place(at, length);
            from..(from + usize::from(count)).min(length)
        };
        match self {
            Self::Set { at, to } => {
                if let Some(byte) = bytes.get_mut(place(*at, length)) {
                    *byte = *to;
                }
            }
            Self::Number { at, which, wide } => {
                let value = [0_u32, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, u32::MAX][usize::from(*which) % 9];
                let number: &[u8] = if *wide { &value.to_ne_bytes() } else { &value.to_be_bytes()[2..] };
                for (byte, new) in bytes.iter_mut().skip(place(*at, length)).zip(number) {
                    *byte = *new;
                }
            }
            Self::Insert { at, bytes: new } => {
                bytes.splice(place(*at, length)..place(*at, length), new.iter().copied());
            }
            Self::Remove { at, count } => _ = bytes.drain(piece(*at, *count)),
            Self::Repeat { at, count, times } => {
                let piece = piece(*at, *count);
                let again = bytes[piece.clone()].repeat(usize::from(*times));
                bytes.splice(piece.end..piece.end, again);
            }
            Self::Cut { at } => bytes.truncate(place(*at, length)),
            Self::Splice { at, seed, from, count } => {
                let other = pick(seeds, *seed);
                let from = place(*from, other.len());
                let to = (from + usize::from(*count)).min(other.len());
                bytes.splice(place(*at, length)..place(*at, length), other[from..to].iter().copied());
            }
        }
    }
}
