//! `asyncio.Semaphore`: never more than so many requests at the same time.

use forebay::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::builder().env().concurrency(5).build()?;
    let requests = (1..=40).map(|n| client.chat("gpt-4o-mini").user(format!("Square {n}.")));
    let replies = client.batch(requests).collect().await;
    let n_ok = replies.iter().filter(|reply| reply.is_ok()).count();
    println!("{n_ok} of {} answered, five at a time", replies.len());
    Ok(())
}
