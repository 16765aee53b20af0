-- A document belongs to the account in user_id.
-- anon is granted nothing.

GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.documents TO authenticated, service_role;

CREATE POLICY documents_select ON public.documents FOR SELECT TO authenticated
    USING (user_id = (SELECT chartchek_private.uid()));
CREATE POLICY documents_insert ON public.documents FOR INSERT TO authenticated
    WITH CHECK (user_id = (SELECT chartchek_private.uid()));
CREATE POLICY documents_update ON public.documents FOR UPDATE TO authenticated
    USING (user_id = (SELECT chartchek_private.uid()))
    WITH CHECK (user_id = (SELECT chartchek_private.uid()));
CREATE POLICY documents_delete ON public.documents FOR DELETE TO authenticated
    USING (user_id = (SELECT chartchek_private.uid()));

CREATE TRIGGER documents_stamp BEFORE INSERT OR UPDATE ON public.documents
    FOR EACH ROW EXECUTE FUNCTION chartchek_private.stamp_created_and_updated_at();
