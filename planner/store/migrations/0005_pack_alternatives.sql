-- A decision's alternatives are three quarters of its bytes: packed (JSON under zlib) and beside its body, from here on.

ALTER TABLE decisions ADD COLUMN alternatives BLOB;
