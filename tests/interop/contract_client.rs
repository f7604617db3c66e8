use pycrust_client::RpcClient;
#[derive(serde::Serialize)]
struct AddArgs { a: i32, b: i32 }

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = RpcClient::connect("calculator").await?;
    let result: i32 = client.call("add", &AddArgs { a: 10, b: 20 }).await?;
    let pong: String = client.call_with_timeout("ping", &(), std::time::Duration::from_secs(5)).await?;
    client.close().await;
    Ok(())
}
