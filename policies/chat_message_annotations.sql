-- An annotation belongs to whom its message, and so its thread, belongs to.
-- anon is granted nothing.

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

CREATE TRIGGER chat_message_annotations_stamp BEFORE INSERT OR UPDATE ON public.chat_message_annotations
    FOR EACH ROW EXECUTE FUNCTION chartchek_private.stamp_created_at();
