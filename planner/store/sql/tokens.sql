-- name: add_token
-- Keep a token; its secret as a salted hash.
INSERT INTO tokens VALUES ($token_id, $name, $scopes, $speaks_for_others, $salt, $hash, $at, NULL)

-- name: list_tokens
-- All tokens, revoked ones too, oldest first.
SELECT token_id, name, scopes, speaks_for_others, salt, hash, created_at, revoked_at
FROM tokens ORDER BY created_at, token_id

-- name: revoke_token
-- End a token for good.
UPDATE tokens SET revoked_at = $at WHERE token_id = $token_id AND revoked_at IS NULL
