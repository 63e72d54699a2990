//! A production pipeline: every item ends in `results.json`, with its tokens or its error.

use forebay::Client;
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::builder().env().concurrency(20).build()?;
    let models = ["gpt-4o-mini", "openai/fault-400", "gpt-4o-mini"];
    let texts = ["parcel lost", "refused by the provider", "cannot log in"];
    let request = |(model, text)| client.chat(model).system("Label the ticket.").user(text);
    let requests = models.into_iter().zip(texts).map(request);
    let mut results = Vec::new();
    for (text, reply) in texts.iter().zip(client.batch(requests).collect().await) {
        results.push(match reply {
            Ok(reply) => json!({"text": text, "label": reply.text,
                "tokens": reply.usage.map(|usage| usage.input_tokens + usage.output_tokens)}),
            Err(failure) => json!({"text": text, "error": failure.kind.label()}),
        });
    }
    std::fs::write("results.json", serde_json::to_vec_pretty(&results)?)?;
    println!("{} results", results.len());
    Ok(())
}
