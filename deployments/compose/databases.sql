-- Beside the ledger's database, which the image of PostgreSQL makes, one for Prefect.
CREATE DATABASE prefect;
