//! `asyncio.gather`: many questions at once, the answers in the order of the questions.

use forebay::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::from_env()?;
    let texts = ["great service", "never again", "it was fine"];
    let requests = texts.map(|text| {
        let request = client.chat("gpt-4o-mini").system("Positive or negative?");
        request.user(text).max_tokens(5)
    });
    for (text, reply) in texts.iter().zip(client.batch(requests).collect().await) {
        println!("{text}: {}", reply?.text);
    }
    Ok(())
}
