"""Stand-in for ProxySQL: the part of it that an application and an operator see, for text queries.

Real: the configuration file's grammar, pools per server that never pass max_connections, waiting for a free connection, users, query rules,
TLS to the server, the admin port with its tables (memory, runtime) and LOAD/SAVE statements. Not there: prepared statements, monitoring,
query cache, clustering.
"""
