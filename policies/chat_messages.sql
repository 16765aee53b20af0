-- A message belongs to whom its thread belongs to. user_id names the author and grants nothing.
-- anon is granted nothing.

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

CREATE TRIGGER chat_messages_stamp BEFORE INSERT OR UPDATE ON public.chat_messages
    FOR EACH ROW EXECUTE FUNCTION chartchek_private.stamp_created_and_updated_at();
CREATE TRIGGER chat_messages_author BEFORE INSERT OR UPDATE ON public.chat_messages
    FOR EACH ROW EXECUTE FUNCTION chartchek_private.check_message_author();
