CREATE VIEW revenue AS
SELECT date_trunc('month', placed_at) AS month, sum(total) AS total
FROM orders JOIN order_lines ON order_lines.order_id = orders.id
WHERE status <> 'returned'
GROUP BY 1;
