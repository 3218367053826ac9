-- What a check of the books leaves behind. Nothing is repaired here: a wallet that does not add up waits for a person.

-- Notes what a check found, and puts the wallets it named on hold. A wallet too broken to be charged cannot be put on
-- hold by the usual way; it is missing in `held`, and the alarm is the same.
CREATE FUNCTION money.record_verification(
    since_seal bigint, through_seal bigint, checks integer, broken text[], examples text[], wallets bigint[],
    milliseconds bigint, actor text
) RETURNS bigint[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = money, pg_temp AS $$
DECLARE
    one  bigint;
    held bigint[] := '{}';
BEGIN
    FOR one IN SELECT DISTINCT wallet FROM unnest(wallets) wallet ORDER BY wallet LOOP
        BEGIN
            IF money.place_hold(one, 'Verification', 'books', actor) THEN
                held := held || one;
            END IF;
        EXCEPTION WHEN check_violation OR raise_exception OR SQLSTATE 'MO002' THEN
            RAISE WARNING 'wallet % does not add up and could not be put on hold', one;
        END;
    END LOOP;
    INSERT INTO money.verification
        (since_seal, through_seal, checks, broken, examples, wallets, held, milliseconds, actor)
    VALUES (since_seal, through_seal, checks, broken, examples, wallets, held, milliseconds, actor);
    RETURN held;
END $$;
