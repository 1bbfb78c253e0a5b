-- The online metrics of a day, as one would write them by hand for DuckDB. Compared by `online_metrics.py`.
CREATE TEMP TABLE acts AS
SELECT ds, user_id, item_id, event_type, occurred_at, quantity, unit_price FROM events
WHERE event_type IN ('view', 'cart', 'wish', 'purchase', 'refund');

CREATE TEMP TABLE candidates AS
SELECT ds, request_id, user_id, item_id, position, shown_at, surface, arm, family, version, is_clicked FROM impressions
WHERE (user_id, item_id) IN (SELECT (user_id, item_id) FROM acts);

CREATE TEMP TABLE clicks AS
SELECT a.*, c.ds AS shown_on, c.request_id, c.position, c.surface, c.arm, c.family, c.version, c.is_clicked,
    c.shown_at >= a.occurred_at - INTERVAL 24 HOUR AS inside
FROM (SELECT * FROM acts WHERE event_type <> 'refund') a
ASOF LEFT JOIN candidates c ON a.user_id = c.user_id AND a.item_id = c.item_id AND a.occurred_at >= c.shown_at;

CREATE TEMP TABLE moved AS
SELECT user_id, item_id, request_id, position, surface, arm, family, version, is_clicked, shown_on, inside,
    CASE event_type WHEN 'purchase' THEN quantity ELSE 0 END AS pieces, unit_price FROM clicks
UNION ALL
SELECT r.user_id, r.item_id, p.request_id, p.position, p.surface, p.arm, p.family, p.version, p.is_clicked, p.shown_on,
    p.inside, -r.quantity, coalesce(r.unit_price, p.unit_price)
FROM (SELECT * FROM acts WHERE event_type = 'refund') r
ASOF JOIN (SELECT * FROM clicks WHERE event_type = 'purchase') p
    ON r.user_id = p.user_id AND r.item_id = p.item_id AND r.occurred_at >= p.occurred_at;

CREATE TEMP TABLE hits AS
SELECT * FROM (
    SELECT request_id, user_id, surface, arm, family, version, item_id, position, bool_or(clicked) AS clicked,
        bool_or(bought) AS bought, sum(revenue) AS revenue
    FROM (
        SELECT request_id, user_id, surface, arm, family, version, item_id, position,
            coalesce(is_clicked, true) AS clicked, sum(pieces) > 0 AS bought,
            CASE WHEN sum(pieces) > 0 THEN greatest(sum(pieces * coalesce(unit_price, 0)), 0) ELSE 0 END AS revenue
        FROM moved WHERE request_id IS NOT NULL AND inside AND shown_on = '2026-03-02' GROUP BY ALL
        UNION ALL
        SELECT request_id, user_id, surface, arm, family, version, item_id, position, true, false, 0
        FROM impressions WHERE ds = '2026-03-02' AND is_clicked
    ) GROUP BY ALL
) WHERE clicked OR bought;

CREATE TEMP TABLE lists AS
WITH parts AS (
    SELECT request_id, user_id, coalesce(surface, 'unknown') AS surface, coalesce(arm, 'default') AS arm, family, version,
        count(*) AS impressions
    FROM impressions WHERE ds = '2026-03-02' GROUP BY ALL
)
SELECT * FROM parts WHERE family IS NOT NULL
UNION ALL
SELECT request_id, user_id, surface, arm, 'final', NULL, sum(impressions) FROM parts GROUP BY ALL;

CREATE TEMP TABLE earned AS
WITH every AS (
    SELECT * FROM hits WHERE family IS NOT NULL
    UNION ALL
    SELECT * REPLACE ('final' AS family, NULL AS version) FROM hits
)
SELECT request_id, user_id, coalesce(surface, 'unknown') AS surface, coalesce(arm, 'default') AS arm, family, version,
    sum(clicked::INT) AS clicks, sum((clicked AND bought)::INT) AS conversions, sum(bought::INT) AS purchases,
    sum(revenue) AS revenue, sum(1 / log2(position + 1)) AS dcg, count(*) AS hits
FROM every GROUP BY ALL;

CREATE TEMP TABLE best AS
WITH places AS (
    SELECT request_id, user_id, coalesce(surface, 'unknown') AS surface, coalesce(arm, 'default') AS arm, family, version,
        position
    FROM impressions WHERE ds = '2026-03-02' AND request_id IN (SELECT request_id FROM hits)
), every AS (
    SELECT * FROM places WHERE family IS NOT NULL
    UNION ALL
    SELECT * REPLACE ('final' AS family, NULL AS version) FROM places
), ranked AS (
    SELECT p.*, e.hits, row_number() OVER (
        PARTITION BY p.request_id, p.user_id, p.surface, p.arm, p.family, p.version ORDER BY position) AS place
    FROM every p JOIN earned e ON p.request_id = e.request_id AND p.user_id IS NOT DISTINCT FROM e.user_id
        AND p.surface = e.surface AND p.arm = e.arm AND p.family = e.family AND p.version IS NOT DISTINCT FROM e.version
)
SELECT request_id, user_id, surface, arm, family, version, sum(1 / log2(position + 1)) AS best
FROM ranked WHERE place <= hits GROUP BY ALL;

CREATE TEMP TABLE units AS
SELECT l.user_id, CASE WHEN l.user_id IS NULL THEN l.request_id END AS anonymous, l.family, l.version, l.surface, l.arm,
    sum(impressions) AS impressions, count(*) AS requests, coalesce(sum(clicks), 0) AS clicks,
    coalesce(sum(conversions), 0) AS conversions, coalesce(sum(purchases), 0) AS purchases,
    coalesce(sum(revenue), 0) AS revenue, coalesce(sum(dcg / best), 0) AS ndcg_sum, count(best) AS ndcg_requests
FROM lists l
LEFT JOIN earned e ON l.request_id = e.request_id AND l.user_id IS NOT DISTINCT FROM e.user_id AND l.surface = e.surface
    AND l.arm = e.arm AND l.family = e.family AND l.version IS NOT DISTINCT FROM e.version
LEFT JOIN best b ON e.request_id = b.request_id AND e.user_id IS NOT DISTINCT FROM b.user_id AND e.surface = b.surface
    AND e.arm = b.arm AND e.family = b.family AND e.version IS NOT DISTINCT FROM b.version
GROUP BY ALL;

CREATE TEMP TABLE shown AS
WITH seen AS (
    SELECT family, version, coalesce(surface, 'unknown') AS surface, coalesce(arm, 'default') AS arm, item_id,
        min(coalesce(user_id, request_id)) AS least, max(coalesce(user_id, request_id)) AS greatest
    FROM impressions WHERE ds = '2026-03-02' GROUP BY ALL
)
SELECT * FROM seen WHERE family IS NOT NULL
UNION ALL
SELECT 'final', NULL, surface, arm, item_id, min(least), max(greatest) FROM seen GROUP BY ALL;

CREATE TEMP TABLE units_by_arm AS
SELECT user_id, anonymous, family, version, NULL AS surface, arm, sum(impressions) AS impressions,
    sum(requests) AS requests, sum(clicks) AS clicks, sum(conversions) AS conversions, sum(purchases) AS purchases,
    sum(revenue) AS revenue, sum(ndcg_sum) AS ndcg_sum, sum(ndcg_requests) AS ndcg_requests FROM units GROUP BY ALL;

CREATE TEMP TABLE units_in_all AS
SELECT user_id, anonymous, family, version, NULL AS surface, NULL AS arm, sum(impressions) AS impressions,
    sum(requests) AS requests, sum(clicks) AS clicks, sum(conversions) AS conversions, sum(purchases) AS purchases,
    sum(revenue) AS revenue, sum(ndcg_sum) AS ndcg_sum, sum(ndcg_requests) AS ndcg_requests FROM units_by_arm GROUP BY ALL;

CREATE TEMP TABLE shown_by_arm AS
SELECT family, version, NULL AS surface, arm, item_id, min(least) AS least, max(greatest) AS greatest
FROM shown GROUP BY ALL;

CREATE TEMP TABLE shown_in_all AS
SELECT family, version, NULL AS surface, NULL AS arm, item_id, min(least) AS least, max(greatest) AS greatest
FROM shown_by_arm GROUP BY ALL;

CREATE TEMP TABLE metrics AS
WITH every_unit AS (
    SELECT * FROM units UNION ALL SELECT * FROM units_by_arm UNION ALL SELECT * FROM units_in_all
), every_item AS (
    SELECT * FROM shown UNION ALL SELECT * FROM shown_by_arm UNION ALL SELECT * FROM shown_in_all
), sums AS (
    SELECT family, version, surface, arm, count(*)::DOUBLE AS n, count(user_id) AS users,
        sum(impressions) AS impressions, sum(requests) AS requests, sum(clicks) AS clicks,
        sum(conversions) AS conversions, sum(purchases) AS purchases, sum(revenue) AS revenue,
        sum(ndcg_sum) AS ndcg_sum, sum(ndcg_requests) AS ndcg_requests,
        sum(clicks::DOUBLE * clicks) AS cc, sum(clicks::DOUBLE * impressions) AS ci,
        sum(impressions::DOUBLE * impressions) AS ii, sum(revenue * revenue) AS rr, sum(revenue * impressions) AS ri,
        count(*) FILTER (clicks > 0) AS n_c, sum(conversions::DOUBLE * conversions) FILTER (clicks > 0) AS vv,
        sum(conversions::DOUBLE * clicks) FILTER (clicks > 0) AS vc, sum(clicks::DOUBLE * clicks) FILTER (clicks > 0) AS vx,
        sum(conversions) FILTER (clicks > 0) AS v_c,
        count(*) FILTER (ndcg_requests > 0) AS n_g, sum(ndcg_sum * ndcg_sum) AS gg, sum(ndcg_sum * ndcg_requests) AS gq,
        sum(ndcg_requests::DOUBLE * ndcg_requests) AS qq
    FROM every_unit GROUP BY ALL
), counted AS (
    SELECT family, version, surface, arm, count(*) AS items,
        count(*) FILTER (item_id IN (SELECT item_id FROM eligible)) AS covered
    FROM every_item GROUP BY ALL
), alone AS (
    SELECT family, version, surface, arm, sum(n)::DOUBLE AS alone, sum(n * n)::DOUBLE AS alone_squared FROM (
        SELECT family, version, surface, arm, least, count(*) AS n FROM every_item
        WHERE least = greatest AND item_id IN (SELECT item_id FROM eligible) GROUP BY ALL
    ) GROUP BY ALL
), catalogue AS (SELECT count(*)::DOUBLE AS eligible FROM eligible)
SELECT s.family, s.version, s.surface, s.arm, users, impressions, requests, clicks, conversions, purchases, items,
    clicks / impressions AS ctr,
    sqrt(n / (n - 1) * (cc - 2 * ctr * ci + ctr * ctr * ii)) / impressions AS ctr_se,
    v_c / clicks AS cvr, sqrt(n_c / (n_c - 1) * (vv - 2 * cvr * vc + cvr * cvr * vx)) / clicks AS cvr_se,
    revenue / impressions AS revenue_per_impression,
    sqrt(n / (n - 1) * (rr - 2 * revenue_per_impression * ri + revenue_per_impression * revenue_per_impression * ii))
        / impressions AS revenue_per_impression_se,
    ndcg_sum / ndcg_requests AS ndcg,
    sqrt(n_g / (n_g - 1) * (gg - 2 * ndcg * gq + ndcg * ndcg * qq)) / ndcg_requests AS ndcg_se,
    covered / eligible AS coverage,
    sqrt((n - 1) / n * (coalesce(alone_squared, 0) - coalesce(alone, 0) * coalesce(alone, 0) / n)) / eligible AS coverage_se
FROM sums s
JOIN counted c ON s.family = c.family AND s.version IS NOT DISTINCT FROM c.version
    AND s.surface IS NOT DISTINCT FROM c.surface AND s.arm IS NOT DISTINCT FROM c.arm
LEFT JOIN alone a ON s.family = a.family AND s.version IS NOT DISTINCT FROM a.version
    AND s.surface IS NOT DISTINCT FROM a.surface AND s.arm IS NOT DISTINCT FROM a.arm
CROSS JOIN catalogue;
