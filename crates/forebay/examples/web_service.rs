//! A web service with one shared client: `POST /analyze` with a text gives its label.

use axum::{Router, extract::State, http::StatusCode, routing::post};
use forebay::Client;

type Answer = Result<String, StatusCode>;

async fn analyze(State(client): State<Client>, text: String) -> Answer {
    let request = client.chat("gpt-4o-mini").system("Label the text.");
    // When the caller goes away, the request is given up with this future.
    let reply = request.user(text).max_tokens(10).send().await;
    Ok(reply.map_err(|_| StatusCode::BAD_GATEWAY)?.text)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::builder().env().concurrency(50).build()?;
    let app = Router::new().route("/analyze", post(analyze));
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:3000".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app.with_state(client)).await?)
}
