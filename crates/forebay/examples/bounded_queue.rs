//! A million items through a bounded queue: they are made as they are needed, never all at once.

use forebay::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let items: u64 = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |n| n.parse())?;
    let client = Client::builder().env().concurrency(200).build()?;
    let requests = (0..items).map(|n| client.chat("gpt-4o-mini").user(format!("Item {n}")));
    let mut replies = client.batch(requests).ordered();
    let (mut ok, mut failed) = (0u64, 0u64);
    while let Some(reply) = replies.next().await {
        match reply {
            Ok(_) => ok += 1,
            Err(_) => failed += 1,
        }
    }
    println!("{ok} answered, {failed} failed");
    Ok(())
}
