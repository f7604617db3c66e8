from pycrust import RpcEndpoint
from pydantic import BaseModel

class AddArgs(BaseModel):
    a: int
    b: int

endpoint = RpcEndpoint("calculator")

@endpoint.register()
def ping() -> str:
    return "pong"

@endpoint.register(request_model=AddArgs)
def add(a: int, b: int) -> int:
    return a + b

endpoint.listen()          # a script: serves until interrupted
