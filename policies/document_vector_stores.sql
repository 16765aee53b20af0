-- A link belongs to the owner of both its document and its vector store; across two owners, to nobody.
-- anon is granted nothing.

GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.document_vector_stores TO authenticated, service_role;

CREATE POLICY document_vector_stores_select ON public.document_vector_stores FOR SELECT TO authenticated
    USING (
    document_id = ANY (ARRAY(
        SELECT d.id FROM public.documents d WHERE d.user_id = (SELECT chartchek_private.uid())
    ))
    AND vector_store_id = ANY (ARRAY(
        SELECT v.id FROM public.vector_stores v WHERE v.user_id = (SELECT chartchek_private.uid())
    ))
    );
CREATE POLICY document_vector_stores_insert ON public.document_vector_stores FOR INSERT TO authenticated
    WITH CHECK (
    EXISTS (
        SELECT 1 FROM public.documents d
        WHERE d.id = document_vector_stores.document_id AND d.user_id = (SELECT chartchek_private.uid())
    )
    AND EXISTS (
        SELECT 1 FROM public.vector_stores v
        WHERE v.id = document_vector_stores.vector_store_id AND v.user_id = (SELECT chartchek_private.uid())
    )
    );
CREATE POLICY document_vector_stores_update ON public.document_vector_stores FOR UPDATE TO authenticated
    USING (
    document_id = ANY (ARRAY(
        SELECT d.id FROM public.documents d WHERE d.user_id = (SELECT chartchek_private.uid())
    ))
    AND vector_store_id = ANY (ARRAY(
        SELECT v.id FROM public.vector_stores v WHERE v.user_id = (SELECT chartchek_private.uid())
    ))
    )
    WITH CHECK (
    EXISTS (
        SELECT 1 FROM public.documents d
        WHERE d.id = document_vector_stores.document_id AND d.user_id = (SELECT chartchek_private.uid())
    )
    AND EXISTS (
        SELECT 1 FROM public.vector_stores v
        WHERE v.id = document_vector_stores.vector_store_id AND v.user_id = (SELECT chartchek_private.uid())
    )
    );
CREATE POLICY document_vector_stores_delete ON public.document_vector_stores FOR DELETE TO authenticated
    USING (
    document_id = ANY (ARRAY(
        SELECT d.id FROM public.documents d WHERE d.user_id = (SELECT chartchek_private.uid())
    ))
    AND vector_store_id = ANY (ARRAY(
        SELECT v.id FROM public.vector_stores v WHERE v.user_id = (SELECT chartchek_private.uid())
    ))
    );

CREATE TRIGGER document_vector_stores_stamp BEFORE INSERT OR UPDATE ON public.document_vector_stores
    FOR EACH ROW EXECUTE FUNCTION chartchek_private.stamp_created_at();
