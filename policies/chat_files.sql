-- A file belongs to whom its thread belongs to.
-- anon is granted nothing.

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

CREATE TRIGGER chat_files_stamp BEFORE INSERT OR UPDATE ON public.chat_files
    FOR EACH ROW EXECUTE FUNCTION chartchek_private.stamp_created_at();
