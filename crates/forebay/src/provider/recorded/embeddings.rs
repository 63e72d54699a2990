//! Recorded answers to requests for one embedding.

use super::*;

#[test]
fn a_vector_is_read_in_full() {
    let reply = reply(Dialect::Embeddings, case!("embeddings/reply"));
    assert_eq!(reply.embedding, Some(vec![1.0, -2.5, 0.15625]));
    assert_eq!(
        (reply.text, reply.finish_reason),
        (None, FinishReason::Stop)
    );
    assert_eq!(reply.model.as_deref(), Some("text-embedding-3-small"));
    let usage = Usage {
        input_tokens: 9,
        ..Usage::default()
    };
    assert_eq!(reply.usage, Some(usage));
    let sparse = super::reply(Dialect::Embeddings, case!("embeddings/reply_sparse"));
    assert_eq!(sparse.embedding, Some(vec![0.5, 0.25]));
    assert_eq!((sparse.usage, sparse.model), (None, None));
}

#[test]
fn several_vectors_are_put_in_order() {
    let asked = |texts: &str| format!(r#"{{"model":"m","input":[{texts}]}}"#);
    let vectors = |case, texts| vectors(case, asked(texts).as_bytes()).unwrap().vectors;
    assert_eq!(
        vectors(case!("embeddings/reply_mixed_order"), r#""a","b","c""#),
        [[1.0, -2.5, 0.15625], [0.0, 0.5, -0.5], [3.0, 4.0, -1.0]]
    );
    assert_eq!(
        vectors(case!("embeddings/reply_decimals"), r#""a","b""#),
        [[1.0, 0.0, -0.25], [0.1, -3e-5, 7.0]]
    );
}

#[test]
fn answers_without_the_vectors_are_failures() {
    let asked = br#"{"model":"m","input":["a","b"]}"#;
    for (case, words) in [
        (
            case!("embeddings/doubled_index"),
            "two embeddings of index 0",
        ),
        (case!("embeddings/too_few"), "1 embeddings for 2 texts"),
    ] {
        let failure = vectors(case, asked).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Malformed);
        assert!(failure.message.contains(words), "{failure}");
    }
    use FailureKind::{BadRequest, ContextLength, Malformed, Overloaded};
    for (case, kind, words) in [
        (case!("embeddings/empty_list"), Malformed, "no embeddings"),
        (case!("embeddings/null_vector"), Malformed, "is missing"),
        (case!("embeddings/odd_bytes"), Malformed, "6 bytes"),
        (case!("embeddings/error_in_200"), Overloaded, "upstream"),
        (case!("embeddings/400_empty_input"), BadRequest, "input"),
        (case!("embeddings/400_too_long"), ContextLength, "8192"),
        (
            case!("embeddings/400_too_many_tokens"),
            BadRequest,
            "per request",
        ),
    ] {
        let failure = failure(Dialect::Embeddings, case);
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.message.contains(words), "{failure}");
    }
}
