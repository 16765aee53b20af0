-- Grants and policies, last and in a short transaction of their own: on Supabase any policy statement can lock the
-- tables of auth, storage and realtime until it commits. What they are now: policies/<table>.sql.
-- The roles were granted nothing when the tables were made, so nothing here has to be revoked; anon gets nothing.

GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.chat_threads TO authenticated, service_role;

CREATE POLICY chat_threads_select ON public.chat_threads FOR SELECT TO authenticated
    USING (user_id = (SELECT chartchek_private.uid()));
CREATE POLICY chat_threads_insert ON public.chat_threads FOR INSERT TO authenticated
    WITH CHECK (user_id = (SELECT chartchek_private.uid()));
CREATE POLICY chat_threads_update ON public.chat_threads FOR UPDATE TO authenticated
    USING (user_id = (SELECT chartchek_private.uid()))
    WITH CHECK (user_id = (SELECT chartchek_private.uid()));
CREATE POLICY chat_threads_delete ON public.chat_threads FOR DELETE TO authenticated
    USING (user_id = (SELECT chartchek_private.uid()));

GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.chat_messages TO authenticated, service_role;

CREATE POLICY chat_messages_select ON public.chat_messages FOR SELECT TO authenticated
    USING (
    thread_id = ANY (ARRAY(
        SELECT t.thread_id FROM public.chat_threads t WHERE t.user_id = (SELECT chartchek_private.uid())
    ))
    );
CREATE POLICY chat_messages_insert ON public.chat_messages FOR INSERT TO authenticated
    WITH CHECK (
    EXISTS (
        SELECT 1 FROM public.chat_threads t
        WHERE t.thread_id = chat_messages.thread_id AND t.user_id = (SELECT chartchek_private.uid())
    )
    );
CREATE POLICY chat_messages_update ON public.chat_messages FOR UPDATE TO authenticated
    USING (
    thread_id = ANY (ARRAY(
        SELECT t.thread_id FROM public.chat_threads t WHERE t.user_id = (SELECT chartchek_private.uid())
    ))
    )
    WITH CHECK (
    EXISTS (
        SELECT 1 FROM public.chat_threads t
        WHERE t.thread_id = chat_messages.thread_id AND t.user_id = (SELECT chartchek_private.uid())
    )
    );
CREATE POLICY chat_messages_delete ON public.chat_messages FOR DELETE TO authenticated
    USING (
    thread_id = ANY (ARRAY(
        SELECT t.thread_id FROM public.chat_threads t WHERE t.user_id = (SELECT chartchek_private.uid())
    ))
    );

GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.chat_message_annotations TO authenticated, service_role;

CREATE POLICY chat_message_annotations_select ON public.chat_message_annotations FOR SELECT TO authenticated
    USING (
    message_id = ANY (ARRAY(
        SELECT m.id FROM public.chat_messages m
        WHERE m.thread_id = ANY (ARRAY(
            SELECT t.thread_id FROM public.chat_threads t WHERE t.user_id = (SELECT chartchek_private.uid())
        ))
    ))
    );
CREATE POLICY chat_message_annotations_insert ON public.chat_message_annotations FOR INSERT TO authenticated
    WITH CHECK (
    EXISTS (
        SELECT 1 FROM public.chat_messages m
        JOIN public.chat_threads t ON t.thread_id = m.thread_id
        WHERE m.id = chat_message_annotations.message_id AND t.user_id = (SELECT chartchek_private.uid())
    )
    );
CREATE POLICY chat_message_annotations_update ON public.chat_message_annotations FOR UPDATE TO authenticated
    USING (
    message_id = ANY (ARRAY(
        SELECT m.id FROM public.chat_messages m
        WHERE m.thread_id = ANY (ARRAY(
            SELECT t.thread_id FROM public.chat_threads t WHERE t.user_id = (SELECT chartchek_private.uid())
        ))
    ))
    )
    WITH CHECK (
    EXISTS (
        SELECT 1 FROM public.chat_messages m
        JOIN public.chat_threads t ON t.thread_id = m.thread_id
        WHERE m.id = chat_message_annotations.message_id AND t.user_id = (SELECT chartchek_private.uid())
    )
    );
CREATE POLICY chat_message_annotations_delete ON public.chat_message_annotations FOR DELETE TO authenticated
    USING (
    message_id = ANY (ARRAY(
        SELECT m.id FROM public.chat_messages m
        WHERE m.thread_id = ANY (ARRAY(
            SELECT t.thread_id FROM public.chat_threads t WHERE t.user_id = (SELECT chartchek_private.uid())
        ))
    ))
    );

GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.chat_files TO authenticated, service_role;

CREATE POLICY chat_files_select ON public.chat_files FOR SELECT TO authenticated
    USING (
    thread_id = ANY (ARRAY(
        SELECT t.id FROM public.chat_threads t WHERE t.user_id = (SELECT chartchek_private.uid())
    ))
    );
CREATE POLICY chat_files_insert ON public.chat_files FOR INSERT TO authenticated
    WITH CHECK (
    EXISTS (
        SELECT 1 FROM public.chat_threads t
        WHERE t.id = chat_files.thread_id AND t.user_id = (SELECT chartchek_private.uid())
    )
    );
CREATE POLICY chat_files_update ON public.chat_files FOR UPDATE TO authenticated
    USING (
    thread_id = ANY (ARRAY(
        SELECT t.id FROM public.chat_threads t WHERE t.user_id = (SELECT chartchek_private.uid())
    ))
    )
    WITH CHECK (
    EXISTS (
        SELECT 1 FROM public.chat_threads t
        WHERE t.id = chat_files.thread_id AND t.user_id = (SELECT chartchek_private.uid())
    )
    );
CREATE POLICY chat_files_delete ON public.chat_files FOR DELETE TO authenticated
    USING (
    thread_id = ANY (ARRAY(
        SELECT t.id FROM public.chat_threads t WHERE t.user_id = (SELECT chartchek_private.uid())
    ))
    );

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

GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.user_assistants TO authenticated, service_role;

CREATE POLICY user_assistants_select ON public.user_assistants FOR SELECT TO authenticated
    USING (user_id = (SELECT chartchek_private.uid()));
CREATE POLICY user_assistants_insert ON public.user_assistants FOR INSERT TO authenticated
    WITH CHECK (user_id = (SELECT chartchek_private.uid()));
CREATE POLICY user_assistants_update ON public.user_assistants FOR UPDATE TO authenticated
    USING (user_id = (SELECT chartchek_private.uid()))
    WITH CHECK (user_id = (SELECT chartchek_private.uid()));
CREATE POLICY user_assistants_delete ON public.user_assistants FOR DELETE TO authenticated
    USING (user_id = (SELECT chartchek_private.uid()));

GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.resources TO authenticated, service_role;

CREATE POLICY resources_select ON public.resources FOR SELECT TO authenticated
    USING ((SELECT chartchek_private.uid()) IS NOT NULL);
CREATE POLICY resources_insert ON public.resources FOR INSERT TO authenticated
    WITH CHECK ((SELECT chartchek_private.is_admin()));
CREATE POLICY resources_update ON public.resources FOR UPDATE TO authenticated
    USING ((SELECT chartchek_private.is_admin()))
    WITH CHECK ((SELECT chartchek_private.is_admin()));
CREATE POLICY resources_delete ON public.resources FOR DELETE TO authenticated
    USING ((SELECT chartchek_private.is_admin()));
