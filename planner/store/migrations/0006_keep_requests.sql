-- A request belongs to one decision: it is kept beside it, where one statement writes both, and no longer by its hash.

ALTER TABLE decisions ADD COLUMN request_document JSON;

UPDATE decisions SET request_document = documents.content
FROM documents WHERE documents.sha256 = decisions.body ->> '$.inputs.request_sha256';

DELETE FROM documents WHERE kind = 'request';
