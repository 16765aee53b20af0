-- Documents, vector stores, and which document is in which store.
-- Each table is closed in the file that creates it: RLS on and forced, every grant revoked. Policies follow in V007.

CREATE TABLE public.documents (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL DEFAULT auth.uid() REFERENCES auth.users (id),
    file_id TEXT NOT NULL,
    filename TEXT NOT NULL,
    file_type TEXT,
    facility TEXT,
    category TEXT,
    size_bytes BIGINT,
    -- an id at OpenAI (vs_…), not vector_stores.id: no foreign key
    vector_store_id TEXT,
    processing_status public.document_status,
    storage_path TEXT,
    mime_type TEXT,
    metadata JSONB,
    created_at TIMESTAMPTZ DEFAULT now(),
    updated_at TIMESTAMPTZ DEFAULT now()
);
ALTER TABLE public.documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.documents FORCE ROW LEVEL SECURITY;
REVOKE ALL ON TABLE public.documents FROM PUBLIC, anon, authenticated, service_role;

CREATE INDEX idx_documents_user ON public.documents (user_id);
CREATE INDEX idx_documents_vector_store ON public.documents (vector_store_id);
CREATE INDEX idx_documents_user_created ON public.documents (user_id, created_at DESC);
CREATE INDEX idx_documents_file ON public.documents (file_id);

COMMENT ON TABLE public.documents IS 'An uploaded document. Belongs to the account in user_id.';
COMMENT ON COLUMN public.documents.user_id IS 'The owner. Accounts with data cannot be deleted until the data is erased.';
COMMENT ON COLUMN public.documents.file_id IS 'The file''s id at OpenAI: a capability; resolve it only through the owner''s row.';
COMMENT ON COLUMN public.documents.vector_store_id IS 'The vector store''s id at OpenAI (vs_…), not vector_stores.id.';
COMMENT ON COLUMN public.documents.storage_path IS 'Where the file lies in storage: a capability; resolve it only through the owner''s row.';

CREATE TABLE public.vector_stores (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL DEFAULT auth.uid() REFERENCES auth.users (id),
    openai_vector_store_id TEXT NOT NULL,
    name TEXT NOT NULL,
    status public.vector_store_status NOT NULL,
    expires_at TIMESTAMPTZ,
    metadata JSONB,
    created_at TIMESTAMPTZ DEFAULT now(),
    updated_at TIMESTAMPTZ DEFAULT now()
);
ALTER TABLE public.vector_stores ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.vector_stores FORCE ROW LEVEL SECURITY;
REVOKE ALL ON TABLE public.vector_stores FROM PUBLIC, anon, authenticated, service_role;

CREATE INDEX idx_vector_stores_user ON public.vector_stores (user_id);
CREATE INDEX idx_vector_stores_openai ON public.vector_stores (openai_vector_store_id);

COMMENT ON TABLE public.vector_stores IS 'A vector store at OpenAI that holds document embeddings. Belongs to the account in user_id.';
COMMENT ON COLUMN public.vector_stores.user_id IS 'The owner. Accounts with data cannot be deleted until the data is erased.';
COMMENT ON COLUMN public.vector_stores.openai_vector_store_id IS 'The store''s id at OpenAI: a capability; resolve it only through the owner''s row.';

CREATE TABLE public.document_vector_stores (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    document_id UUID NOT NULL REFERENCES public.documents (id) ON DELETE CASCADE,
    vector_store_id UUID NOT NULL REFERENCES public.vector_stores (id) ON DELETE CASCADE,
    created_at TIMESTAMPTZ DEFAULT now(),
    -- departs from the document: without it a document could be linked to one store twice
    CONSTRAINT document_vector_stores_document_store_key UNIQUE (document_id, vector_store_id)
);
ALTER TABLE public.document_vector_stores ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.document_vector_stores FORCE ROW LEVEL SECURITY;
REVOKE ALL ON TABLE public.document_vector_stores FROM PUBLIC, anon, authenticated, service_role;

CREATE INDEX idx_doc_vector_stores_doc ON public.document_vector_stores (document_id);
CREATE INDEX idx_doc_vector_stores_store ON public.document_vector_stores (vector_store_id);

COMMENT ON TABLE public.document_vector_stores IS 'Which document is in which vector store. Belongs to the owner of both; a link across two owners belongs to nobody.';
