"""Tokens: made, listed, revoked. The text of a token is answered once, when it is made."""

from litestar import Controller, get, post
from litestar.params import FromPath, JSONBody

from planner.api.parts import InWorkshop, split_act
from planner.contract.answers import NewToken, TokenList, TokenRecord
from planner.contract.requests import TokenAsk
from planner.usecases.manage_tokens import create_token, revoke_token


class TokenController(Controller):
    """`/v1/tokens`."""

    path = "/v1/tokens"
    tags = ("tokens",)
    opt = {"scope": "admin"}  # noqa: RUF012 - Litestar's way to say it

    @post(operation_id="CreateToken", status_code=201, sync_to_thread=True)
    def create(self, data: JSONBody[TokenAsk], workshop: InWorkshop) -> NewToken:
        """Make a token; its text is in this answer and nowhere else."""
        token, text = create_token(workshop, data.scopes, data.name, speaks_for_others=data.speaks_for_others)
        return NewToken.model_validate({**token.as_json(), "token": text})

    @get(operation_id="ListTokens", sync_to_thread=True)
    def list_tokens(self, workshop: InWorkshop) -> TokenList:
        """Oldest first, revoked ones too."""
        tokens = workshop.tokens.list_tokens()
        return TokenList(tokens=[TokenRecord.model_validate(token.as_json()) for token in tokens])

    @post("/{act:str}", operation_id="ActOnToken", status_code=200, sync_to_thread=True)
    def act(self, act: FromPath[str], workshop: InWorkshop) -> TokenRecord:
        """`NAME:revoke` ends a token for good."""
        name, revoke = split_act(act, {"revoke": revoke_token})
        return TokenRecord.model_validate(revoke(workshop, name).as_json())
