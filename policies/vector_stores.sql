-- A vector store belongs to the account in user_id.
-- anon is granted nothing.

GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.vector_stores TO authenticated, service_role;

CREATE POLICY vector_stores_select ON public.vector_stores FOR SELECT TO authenticated
    USING (user_id = (SELECT chartchek_private.uid()));
CREATE POLICY vector_stores_insert ON public.vector_stores FOR INSERT TO authenticated
    WITH CHECK (user_id = (SELECT chartchek_private.uid()));
CREATE POLICY vector_stores_update ON public.vector_stores FOR UPDATE TO authenticated
    USING (user_id = (SELECT chartchek_private.uid()))
    WITH CHECK (user_id = (SELECT chartchek_private.uid()));
CREATE POLICY vector_stores_delete ON public.vector_stores FOR DELETE TO authenticated
    USING (user_id = (SELECT chartchek_private.uid()));

CREATE TRIGGER vector_stores_stamp BEFORE INSERT OR UPDATE ON public.vector_stores
    FOR EACH ROW EXECUTE FUNCTION chartchek_private.stamp_created_and_updated_at();
