//! The answer that is asked for most, put together from bytes: a set that is kept is written down once.
//!
//! On the wire it is a `GetEffectiveRolesResponse` like any other.

use prost::Message as _;
use prost::bytes::{BufMut, Bytes};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, message, string};
use proto::common::v1 as common;
use proto::roles::v1::GetEffectiveRolesRequest;
use runtime::error::{Error, Reason};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::{effective, only, position};
use crate::cache::Kept;
use crate::resolver::Answer;

/// The fields of the response.
const EFFECTIVE: u32 = 1;
const TOKEN: u32 = 2;
const POSITION: u32 = 3;

/// A response of which the set is written down already.
#[derive(Debug)]
pub(crate) struct Written {
    set: Bytes,
    token: String,
    position: common::Position,
}

impl Written {
    pub(crate) fn of(answer: Answer) -> Result<Self, Error> {
        let Answer { position: read, token, sets, asked: _ } = answer;
        let kept: Kept = only(sets)?;
        let set = kept.written(|entry| effective(entry).encode_to_vec().into()).clone();
        Ok(Self { set, token, position: position(read) })
    }

    fn length(&self) -> usize {
        let set = 1 + encoded_len_varint(self.set.len() as u64) + self.set.len();
        set + string::encoded_len(TOKEN, &self.token) + message::encoded_len(POSITION, &self.position)
    }

    fn write(&self, to: &mut impl BufMut) {
        encode_key(EFFECTIVE, WireType::LengthDelimited, to);
        encode_varint(self.set.len() as u64, to);
        to.put_slice(&self.set);
        string::encode(TOKEN, &self.token, to);
        message::encode(POSITION, &self.position, to);
    }
}

/// Reads the request, and writes such a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WrittenOnce;

impl Codec for WrittenOnce {
    type Encode = Written;
    type Decode = GetEffectiveRolesRequest;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for WrittenOnce {
    type Item = Written;
    type Error = Status;

    fn encode(&mut self, item: Written, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.reserve(item.length());
        item.write(to);
        Ok(())
    }
}

impl Decoder for WrittenOnce {
    type Item = GetEffectiveRolesRequest;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        let read = GetEffectiveRolesRequest::decode(from);
        read.map(Some).map_err(|_| Error::new(Reason::FIELD_INVALID, "the request is not one of this method").into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use domain::effective::EffectiveSet;
    use domain::grant::{ContextType, Grant};
    use domain::id::UserId;
    use domain::label::Label;
    use domain::matching::{Reason, Unmatched};
    use domain::revision::{Epoch, Position, Revision};
    use tokio::time::Instant;

    use super::*;
    use crate::cache::{CacheKey, Entry};

    fn answer(set: EffectiveSet, revision: u64) -> Answer {
        let (user, acme) = (UserId::new(), "acme".parse().unwrap());
        let position = Position { epoch: Epoch::new(), revision: Revision(revision) };
        let name = CacheKey::derive(b"key").name(&acme, "ann");
        let entry = Entry { user, name, right_at: position, groups: Box::default(), set };
        Answer { position, token: "token".to_owned(), sets: vec![Some(Kept::new(entry, 0))], asked: Instant::now() }
    }

    #[test]
    fn it_is_to_the_byte_what_the_contract_says() {
        let grant = |role: &str| Grant { role: role.into(), context_type: ContextType::Agent, context_id: "7".into() };
        let labels = |texts: &[&str]| texts.iter().map(|text| Label::new(text)).collect::<BTreeSet<_>>();
        let long = "L".repeat(300);
        let rich = EffectiveSet {
            active: true,
            grants: BTreeMap::from([(grant("STORE"), labels(&["AGENT_7_STORE", &long])), (grant("B"), labels(&["x"]))]),
            unmatched: BTreeMap::from([(Label::new("nonsense"), Unmatched::because(Reason::Malformed))]),
            has_labels: true,
        };
        for (set, revision) in [(rich, u64::MAX), (EffectiveSet::default(), 0)] {
            let answer = answer(set, revision);
            for _ in 0..2 {
                let written = Written::of(answer.clone()).unwrap();
                let mut bytes = Vec::new();
                written.write(&mut bytes);
                assert_eq!(bytes.len(), written.length());
                assert_eq!(bytes, super::super::one(answer.clone()).unwrap().encode_to_vec());
            }
        }
    }
}
