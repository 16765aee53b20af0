-- A thread belongs to the account in user_id.
-- anon is granted nothing.

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

CREATE TRIGGER chat_threads_stamp BEFORE INSERT OR UPDATE ON public.chat_threads
    FOR EACH ROW EXECUTE FUNCTION chartchek_private.stamp_created_and_updated_at();
