//! Answers that are unusual, unreadable or gigantic.

use std::{error::Error as _, fs, io::Write};

use flate2::{Compress, Compression, FlushCompress, write::GzEncoder};

use crate::{
    child,
    server::{SUCCESS, Server, Step, call, error_of, head, http, quick},
};

pub const MIB: usize = 1 << 20;
const LARGE: usize = 200 * MIB;
const FLOOD: &[u8] = &[b' '; 64 << 10];

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// A JSON object of exactly this length.
pub fn json(length: usize) -> String {
    let (start, end) = (r#"{"friendlyName": ""#, r#""}"#);
    let filler = "x".repeat(length - start.len() - end.len());
    [start, &filler, end].concat()
}

fn chunked(status: u16, body: &[u8]) -> Step {
    let head = head(status, &[("transfer-encoding", "chunked")]);
    Step::send([head, chunk(body), chunk(b"")].concat())
}

#[test]
fn any_2xx_with_valid_body_is_success() {
    quick(async {
        for status in [200, 201, 202, 203, 206, 207, 226, 299] {
            for step in [Step::answer(status, &[("x-request-id", "r-1")], SUCCESS), {
                let headers = [("transfer-encoding", "chunked"), ("x-request-id", "r-1")];
                Step::send(
                    [
                        head(status, &headers),
                        chunk(SUCCESS.as_bytes()),
                        chunk(b""),
                    ]
                    .concat(),
                )
            }] {
                let server = Server::start([step]).await;
                let phone = call(&server.client())
                    .await
                    .unwrap_or_else(|e| panic!("{status}: {e}"));
                assert_eq!(phone.status().as_u16(), status);
                assert_eq!(phone.friendly_name.as_deref(), Some("Support Line - US"));
                assert_eq!((phone.request_id(), phone.attempts()), (Some("r-1"), 1));
            }
        }
    });
}

#[test]
fn unreadable_2xx_body_may_have_been_applied() {
    let bodies: [&[u8]; 8] = [
        b"",
        b"OK",
        b"<html></html>",
        br#"{"active": "#,
        br#"{"active": "yes"}"#,
        br#"{"sipPhoneNumber": -1}"#,
        b"null",
        b"{\"friendlyName\": \"\xff\"}",
    ];
    quick(async {
        for status in [200, 201, 202, 207] {
            for body in bodies {
                let case = format!("{status} {}", String::from_utf8_lossy(body));
                let server = Server::start([Step::answer(status, &[], body)]).await;
                let error = call(&server.client()).await.expect_err(&case);
                assert!(
                    error.is_decode() && !error.is_retryable(),
                    "{case}: {error}"
                );
                assert!(error.may_have_been_applied(), "{case}");
                assert_eq!(error.status().map(|s| s.as_u16()), Some(status), "{case}");
                assert_eq!((error.attempts(), server.requests()), (1, 1), "{case}");
                assert_eq!(error.body(), body, "{case}");
                let line = error.to_string();
                assert!(
                    line.starts_with(&format!("the request was accepted ({status} "))
                        && line.contains("but the response is not the documented JSON")
                        && line.ends_with("; verify the current state"),
                    "{line}"
                );
                let property = match body {
                    br#"{"active": "yes"}"# => Some("active"),
                    br#"{"sipPhoneNumber": -1}"# => Some("sipPhoneNumber"),
                    _ => None,
                };
                assert_eq!(error.property(), property, "{case}");
                assert!(error.source().is_some(), "{case}");
            }
        }
        let error = error_of(Step::send(head(204, &[]))).await;
        assert!(
            error.is_decode() && error.may_have_been_applied(),
            "{error}"
        );
    });
}

#[test]
fn success_body_is_limited_to_one_mebibyte() {
    quick(async {
        for status in [200, 202] {
            let fits = [
                Step::answer(status, &[], json(MIB)),
                chunked(status, json(MIB).as_bytes()),
                Step::send([head(status, &[]), json(MIB).into_bytes()].concat()).close(),
            ];
            for (case, step) in fits.into_iter().enumerate() {
                let server = Server::start([step]).await;
                let phone = call(&server.client()).await;
                phone.unwrap_or_else(|e| panic!("{status}, case {case}: {e}"));
            }
            let too_long = [
                Step::answer(status, &[], json(MIB + 1)),
                chunked(status, json(MIB + 1).as_bytes()),
                Step::send([head(status, &[]), json(MIB + 1).into_bytes()].concat()).close(),
                Step::send(head(status, &[])).flood(FLOOD),
            ];
            for (case, step) in too_long.into_iter().enumerate() {
                let server = Server::start([step]).await;
                let error = call(&server.client()).await.unwrap_err();
                assert!(error.is_decode(), "{status}, case {case}: {error}");
                assert!(error.may_have_been_applied(), "{status}, case {case}");
                assert!(
                    error.to_string().contains("is longer than 1 MiB"),
                    "{error}"
                );
                assert_eq!((error.attempts(), server.requests()), (1, 1), "case {case}");
            }
        }
    });
}

#[test]
fn unreadable_body_is_kept_up_to_64_kib() {
    let page = "x".repeat(MIB);
    quick(async {
        for status in [200, 202, 404, 500] {
            for step in [
                Step::answer(status, &[], &page),
                chunked(status, page.as_bytes()),
            ] {
                let error = error_of(step).await;
                assert_eq!(error.body().len(), 64 << 10, "{status}");
                assert_eq!(error.status().map(|s| s.as_u16()), Some(status));
            }
        }
        let error = error_of(Step::send(head(404, &[])).flood(FLOOD)).await;
        assert!(error.is_not_found(), "{error}");
        assert_eq!(error.body().len(), 64 << 10);
    });
}

/// Compressed spaces, 200 MiB of them.
fn bomb() -> Vec<u8> {
    let mut deflate = Compress::new(Compression::fast(), false);
    let mut block = Vec::with_capacity(MIB);
    // A block that stands for itself can be repeated.
    deflate
        .compress_vec(&vec![b' '; MIB], &mut block, FlushCompress::Full)
        .unwrap();
    let head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    [head, block.repeat(LARGE / MIB)].concat()
}

/// The answers that must not be read into memory.
fn gigantic() -> Vec<Step> {
    let length = LARGE.to_string();
    let bomb = bomb();
    [200, 202, 404]
        .into_iter()
        .flat_map(|status| {
            [
                Step::send(head(status, &[("content-length", &length)])).flood(FLOOD),
                Step::send(head(status, &[])).flood(FLOOD),
                Step::answer(status, &[("content-encoding", "gzip")], &bomb),
            ]
        })
        .collect()
}

/// The most memory that this process has had.
#[cfg(target_os = "linux")]
pub fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() << 10
}

/// A mebibyte, a quarter of it in pieces of one byte, which take long enough.
fn in_pieces() -> Step {
    let json = json(MIB);
    let (tiny, small) = json.as_bytes().split_at(MIB / 4);
    let parts = tiny.chunks(1).chain(small.chunks(64));
    let pieces: Vec<u8> = parts.flat_map(chunk).collect();
    let head = head(200, &[("transfer-encoding", "chunked")]);
    Step::send([head, pieces, chunk(b"")].concat())
}

#[cfg(target_os = "linux")]
#[test]
fn fragmented_body_allocates_at_most_four_times_its_size() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let steps = [Step::answer(200, &[], SUCCESS), in_pieces()];
    let server = runtime.block_on(Server::start(steps));
    child::run_against("bodies::child_reads_fragmented_body", &server.url(), &[]);
    assert_eq!(server.requests(), 2);
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "fragmented_body_allocates_at_most_four_times_its_size runs it in a process of its own"]
fn child_reads_fragmented_body() {
    assert_reads_a_mebibyte();
}

/// The second answer, with at most four times its size.
pub fn assert_reads_a_mebibyte() {
    child::block_on(async {
        let client = child::client().max_retries(0).build().unwrap();
        call(&client).await.unwrap();
        let idle = peak();
        let phone = call(&client).await.unwrap();
        assert_eq!(phone.body().len(), MIB);
        let growth = peak() - idle;
        assert!(growth <= 4 * MIB as u64, "it took {growth} bytes");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn huge_body_is_not_buffered() {
    let gigantic = gigantic();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start(
        [Step::answer(200, &[], SUCCESS)]
            .into_iter()
            .chain(gigantic),
    ));
    // What this process uses has other reasons as well.
    child::run_against("bodies::child_reads_huge_body", &server.url(), &[]);
    assert_eq!(server.requests(), 10);
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "huge_body_is_not_buffered runs it in a process of its own"]
fn child_reads_huge_body() {
    child::block_on(async {
        let client = child::client()
            .http_client(http().gzip(true).build().unwrap())
            .max_retries(0)
            .build()
            .unwrap();
        call(&client).await.unwrap();
        let idle = peak();
        for answer in 0..9 {
            let error = call(&client).await.unwrap_err();
            assert!(
                error.is_decode() || error.body().len() == 64 << 10,
                "answer {answer}: {error}"
            );
            let growth = peak() - idle;
            assert!(
                growth < 16 * MIB as u64,
                "answer {answer} took {growth} bytes of memory"
            );
        }
    });
}

#[test]
fn compressed_body_is_decoded_by_http_client_with_gzip() {
    quick(async {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(SUCCESS.as_bytes()).unwrap();
        let body = gzip.finish().unwrap();
        let step = Step::answer(200, &[("content-encoding", "gzip")], body);
        let server = Server::start([step]).await;
        let http = http().gzip(true).build().unwrap();
        let client = server.builder().http_client(http).build().unwrap();
        let phone = call(&client).await.unwrap();
        assert_eq!(phone.friendly_name.as_deref(), Some("Support Line - US"));
    });
}
