CREATE INDEX measurements_graph ON measurements (graph_id, id); -- all that is known of one network, on any board
