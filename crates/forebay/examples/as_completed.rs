//! `asyncio.as_completed`: each answer as soon as it is there, with the number of its question.

use forebay::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::from_env()?;
    let lengths = [400, 5, 100];
    let request = |n| client.chat("gpt-4o-mini").user("word ".repeat(n));
    let mut replies = client.batch(lengths.map(request)).as_completed();
    while let Some((index, reply)) = replies.next().await {
        println!(
            "{} words: {} back",
            lengths[index],
            reply?.text.split_whitespace().count()
        );
    }
    Ok(())
}
